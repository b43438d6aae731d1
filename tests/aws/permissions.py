"""The roles of the functions, as IAM evaluates them: each allows the calls of its function, and no others."""

from target import FUNCTIONS

TABLES = {
    "TestResultsTable": "TestResultsTableName", "NoncesTable": "NoncesTableName", "PackagesTable": "PackagesTableName",
    "SecretsTable": "SecretsTableName",
}
INDEXED = ("TestResultsTable", "PackagesTable")
QUEUES = {
    "ResultsQueue": "ResultsQueueUrl", "ResultsDeadLetterQueue": "ResultsDeadLetterQueueUrl", "RefreshQueue": "RefreshQueueUrl",
    "RefreshDeadLetterQueue": "RefreshDeadLetterQueueUrl", "RefreshEventsDeadLetterQueue": "RefreshEventsDeadLetterQueueUrl",
}
SECRET_KINDS = ("repo", "github", "nuget", "other")
# The simulated actions of each service: those that functions need, and some that no function may use.
ACTIONS = {
    "dynamodb": [
        "GetItem", "BatchGetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "UpdateTable",
        "DeleteTable",
    ],
    "sqs": ["SendMessage", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "SetQueueAttributes", "PurgeQueue"],
    "events": ["PutEvents", "DeleteEventBus"],
    "secretsmanager": ["GetSecretValue", "PutSecretValue", "DeleteSecret"],
    "logs": ["CreateLogStream", "PutLogEvents", "GetLogEvents", "DeleteLogStream"],
    "lambda": ["InvokeFunction", "UpdateFunctionCode"],
    "iam": ["PassRole", "PutRolePolicy"],
    "sts": ["AssumeRole"],
    "s3": ["GetObject"],
    "xray": ["PutTraceSegments", "PutTelemetryRecords"],
}
POLLING = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
# The calls of each function on each resource. tests/it/iam.rs compares the template with the calls.
ALLOWED = {
    "IngestApi": {
        "NoncesTable": {"dynamodb:PutItem", "dynamodb:UpdateItem"},
        "SecretsTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "ResultsQueue": {"sqs:SendMessage"},
        "MasterKey": {"secretsmanager:GetSecretValue"},
        "secret repo": {"secretsmanager:GetSecretValue"},
    },
    "Processor": {
        "TestResultsTable": {"dynamodb:BatchWriteItem", "dynamodb:PutItem"},
        "ResultsDeadLetterQueue": {"sqs:SendMessage"},
        "ResultsQueue": POLLING,
        "EventBus": {"events:PutEvents"},
    },
    "Refresher": {
        "PackagesTable": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"},
        "PackagesTable index": {"dynamodb:Query"},
        "SecretsTable": {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem"},
        "secret github": {"secretsmanager:GetSecretValue"},
        "secret nuget": {"secretsmanager:GetSecretValue"},
        "RefreshQueue": POLLING,
    },
    "BadgeApi": {
        "TestResultsTable": {"dynamodb:Query"},
        "TestResultsTable index": {"dynamodb:Query"},
        "PackagesTable": {"dynamodb:GetItem", "dynamodb:Query"},
        "SecretsTable": {"dynamodb:GetItem"},
        "EventBus": {"events:PutEvents"},
    },
}
# The items of SecretsTable, by partition key, and which of them each function may access.
ITEMS = {
    "REPOSITORY": "REPOSITORY#acme#kit", "ISSUER": "ISSUER#https://issuer.test", "OWNER": "OWNER#acme",
    "SECRET": "SECRET#github#acme#*", "FEED": "FEED#nightly",
}
ALLOWED_ITEMS = {
    "IngestApi": {"GetItem": {"REPOSITORY", "ISSUER"}, "PutItem": {"REPOSITORY"}, "UpdateItem": {"REPOSITORY", "OWNER"}},
    "Processor": {},
    "Refresher": {"GetItem": {"ISSUER"}, "PutItem": {"ISSUER"}},
    "BadgeApi": {"GetItem": {"FEED"}},
}
# The kind of item with which the calls of each function are simulated.
OWN_ITEM = {"IngestApi": "REPOSITORY", "Processor": "REPOSITORY", "Refresher": "ISSUER", "BadgeApi": "FEED"}


def roles_allow_exactly_the_calls_of_their_functions(target):
    """On every resource of the stack and some others, each role allows the calls of its function, and no others."""
    wrong, number = [], 0
    for function in FUNCTIONS:
        role = target.function(function)["Role"]
        allowed = {
            **ALLOWED[function], f"log {function}": {"logs:CreateLogStream", "logs:PutLogEvents"},
            "xray": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
        }
        for name, (service, arn) in resources(target).items():
            actions = [f"{service}:{action}" for action in ACTIONS[service]]
            decisions = simulate(target, role, actions, arn, ITEMS[OWN_ITEM[function]] if name == "SecretsTable" else None)
            number += len(decisions)
            wrong += [
                f"{FUNCTIONS[function]} {'may' if may else 'may not'} {action} on {name}"
                for action, may in decisions.items() if may != (action in allowed.get(name, ()))
            ]
    assert not wrong, "; ".join(wrong)
    return f"{number} decisions as expected"


def roles_allow_only_the_items_of_their_functions(target):
    """For each kind of item in the table of secrets, each role allows the items of its function, and no others."""
    target.needs_aws("simulates no conditions; tests/it/iam.rs evaluates them")
    wrong, number, arn = [], 0, resources(target)["SecretsTable"][1]
    for function, allowed in ALLOWED_ITEMS.items():
        role = target.function(function)["Role"]
        for kind, key in ITEMS.items():
            actions = [f"dynamodb:{action}" for action in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")]
            decisions = simulate(target, role, actions, arn, key)
            number += len(decisions)
            wrong += [
                f"{FUNCTIONS[function]} {'may' if may else 'may not'} {action} {kind}"
                for action, may in decisions.items() if may != (kind in allowed.get(action.split(":")[1], ()))
            ]
    assert not wrong, "; ".join(wrong)
    return f"{number} decisions as expected"


def resources(target):
    """The service and the ARN of each resource, by name."""
    def arn(service, resource, region=target.region, account=target.account):
        return service, f"arn:{target.partition}:{service}:{region}:{account}:{resource}"

    tables = {name: arn("dynamodb", f"table/{target.outputs[output]}") for name, output in TABLES.items()}
    indexes = {f"{name} index": ("dynamodb", f"{tables[name][1]}/index/GSI1") for name in INDEXED}
    queues = {name: arn("sqs", target.outputs[output].rsplit("/", 1)[1]) for name, output in QUEUES.items()}
    prefix = target.outputs["SecretPrefix"]
    secrets = {f"secret {kind}": arn("secretsmanager", f"secret:{prefix}/{kind}/acme/kit-AbCdEf") for kind in SECRET_KINDS}
    logs = {
        f"log {id}": arn("logs", f"log-group:/aws/lambda/{target.name}-{name}:log-stream:x") for id, name in FUNCTIONS.items()
    }
    role = arn("iam", f"role/{target.resources['BadgeApiRole']}", region="")
    return {
        **tables, **indexes, **queues, **secrets, **logs,
        "another table": arn("dynamodb", "table/another"), "another queue": arn("sqs", "another"),
        "EventBus": arn("events", f"event-bus/{target.outputs['EventBusName']}"),
        "MasterKey": ("secretsmanager", target.outputs["MasterKeyArn"]),
        "badge-api": arn("lambda", f"function:{target.name}-badge-api"),
        "role": role, "role to assume": ("sts", role[1]),
        "object": ("s3", f"arn:{target.partition}:s3:::another/object"), "xray": ("xray", "*"),
    }


def simulate(target, role, actions, arn, key=None):
    """Whether a role allows each action on a resource, and on the item with this partition key."""
    context = {"ContextKeyName": "dynamodb:LeadingKeys", "ContextKeyType": "stringList", "ContextKeyValues": [key]}
    response = target.aws("iam").simulate_principal_policy(
        PolicySourceArn=role, ActionNames=actions, ResourceArns=[arn], ContextEntries=[context] if key else []
    )
    return {result["EvalActionName"]: result["EvalDecision"] == "allowed" for result in response["EvaluationResults"]}


CHECKS = [roles_allow_exactly_the_calls_of_their_functions, roles_allow_only_the_items_of_their_functions]
