"""All clients, in the order of the table."""

from agents import Agent, ConsulTemplate
from npm_clients import NodeVault
from python_clients import AwsCli, Boto3, Hvac

ALL = [Hvac, NodeVault, AwsCli, Boto3, Agent, ConsulTemplate]
