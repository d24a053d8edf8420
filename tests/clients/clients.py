"""All clients, in the order of the table."""

from agents import Agent, ConsulTemplate
from npm_clients import NodeVault
from python_clients import AwsCli, Boto3, Hvac
from terraform import ProviderTests, Tofu
from web import WebPages

ALL = [Tofu, ProviderTests, Agent, ConsulTemplate, Hvac, NodeVault, AwsCli, Boto3, WebPages]
