"""A deployed stack: its parameters, outputs and resources, and `badgesmith` commands on it."""

import json
from pathlib import Path

from tools import run

PROGRAM = Path(__file__).resolve().parents[2] / "target/debug/badgesmith"


class Deployment:
    """`aws` returns a client of an AWS service. `environment` has the variables that commands need to reach the stack."""

    def __init__(self, name, aws, environment):
        self.name, self.aws, self.environment = name, aws, environment
        cloudformation = aws("cloudformation")
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        self.id, self.created = stack["StackId"], stack["CreationTime"]
        self.parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])}
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        self.resources = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}

    def operate(self, *command, environment=None):
        """Runs a `badgesmith` command on this stack, and returns its JSON output."""
        environment = {**self.environment, **(environment or {})}
        output = run(PROGRAM, *command, "--stack", self.name, "--json", environment=environment, capture=True)
        return json.loads(output)
