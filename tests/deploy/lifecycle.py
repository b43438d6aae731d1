"""The commands of docs/deployment.md and docs/operations.md for the life of a stack, in their order."""

from client import Client
from emulator import free_port
from faults import assert_stored_once, unique
from stack import unpack

PROTECTED_TABLES = ("TestResultsTableName", "NoncesTableName", "PackagesTableName", "SecretsTableName")
TABLES = {"TestResultsTable": "TestResultsTableName", "SecretsTable": "SecretsTableName"}


def protect_and_upgrade(stack, archive):
    """Sets two parameters in samconfig.toml, which later deployments keep. Returns the upgraded stack."""
    assert unprotected_tables(stack) == set(PROTECTED_TABLES)
    assert doctor_warns(stack), "doctor does not warn of an unprotected stack with data"
    stack.save_parameters(DeletionProtection="true", ReserveConcurrency="true")
    stack = stack.deploy()
    check_protected(stack)

    # Stands for the next release, with a change that shows.
    unpack(archive, stack.folder.parent)
    template = stack.folder / "template.yaml"
    template.write_text(template.read_text().replace("MemorySize: 256", "MemorySize: 320"))
    stack = stack.deploy()
    function = stack.emulator.client("lambda").get_function_configuration(FunctionName=f"{stack.name}-processor")
    assert function["MemorySize"] == 320, "the upgrade is not deployed"
    check_protected(stack)
    assert not doctor_warns(stack), "doctor warns of a protected stack"
    return stack


def check_protected(stack):
    assert not unprotected_tables(stack), f"unprotected: {unprotected_tables(stack)}"
    # The emulator ignores reserved concurrency, so only the parameter shows it.
    stacks = stack.emulator.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stacks[0]["Parameters"]}
    assert parameters["ReserveConcurrency"] == "true", parameters


def unprotected_tables(stack):
    tables = stack.emulator.client("dynamodb")
    described = {table: tables.describe_table(TableName=stack.outputs[table])["Table"] for table in PROTECTED_TABLES}
    return {table for table, description in described.items() if not description.get("DeletionProtectionEnabled")}


def doctor_warns(stack):
    return stack.doctor()["deletion protection"].get("warning", False)


def delete_and_restore(stack):
    """Deletes the stack, imports the retained tables into a new one, and copies the master key. Returns the new stack."""
    key, branch = stack.client.key, unique("restored")
    accepted = {stack.client.submit(stack.client.body(branch, 1))}
    assert_stored_once(stack, branch, accepted)
    stack.deploy("--no-fail-on-empty-changeset", "--parameter-overrides", "DeletionProtection=false").delete()

    secrets = stack.emulator.client("secretsmanager")
    # Before the deployment, because the emulator gives the secret of both stacks the same name.
    master_key = secrets.get_secret_value(SecretId=stack.outputs["MasterKeyArn"])["SecretString"]
    cloudformation = stack.emulator.client("cloudformation")
    resources = [
        {
            "ResourceType": "AWS::DynamoDB::Table", "LogicalResourceId": table,
            "ResourceIdentifier": {"TableName": stack.outputs[output]},
        }
        for table, output in TABLES.items()
    ]
    change_set = {"StackName": stack.name, "ChangeSetName": "restore"}
    cloudformation.create_change_set(
        **change_set, ChangeSetType="IMPORT", ResourcesToImport=resources,
        TemplateBody=(stack.folder / "restore.yaml").read_text(),
    )
    cloudformation.get_waiter("change_set_create_complete").wait(**change_set, WaiterConfig={"Delay": 1})
    cloudformation.execute_change_set(**change_set)
    cloudformation.get_waiter("stack_import_complete").wait(StackName=stack.name, WaiterConfig={"Delay": 1})

    # Unprotected, for the deletion at the end.
    stack.save_parameters(DeletionProtection="false")
    restored = stack.deploy()
    generated = secrets.get_secret_value(SecretId=restored.outputs["MasterKeyArn"])
    assert generated["SecretString"] != master_key, "expected another master key"
    secrets.put_secret_value(SecretId=generated["ARN"], SecretString=master_key)
    secrets.update_secret_version_stage(
        SecretId=generated["ARN"], VersionStage="AWSPREVIOUS", RemoveFromVersionId=generated["VersionId"]
    )
    restored.open(free_port())
    restored.client = Client(restored.url, key)
    accepted.add(restored.client.submit(restored.client.body(branch, 2)))
    assert_stored_once(restored, branch, accepted)
    return restored
