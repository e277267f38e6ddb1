import { Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { Network } from '../shared/network';

/** How Glue's jobs and crawlers get into a network: a connection, and a security group whose members reach each other, as Spark's workers must. */
export class GlueNetwork extends Construct {
  public readonly connection: glue.Connection;
  private readonly workers: ec2.SecurityGroup;

  constructor(scope: Construct, id: string, private readonly network: Network) {
    super(scope, id);
    this.workers = new ec2.SecurityGroup(this, 'Workers', { vpc: network.vpc, description: `Spark workers of ${scope.node.path}` });
    this.workers.connections.allowInternally(ec2.Port.allTcp(), 'Spark workers reach each other');
    network.connections.addSecurityGroup(this.workers);
    this.connection = new glue.Connection(this, 'Connection', {
      type: glue.ConnectionType.NETWORK,
      // A connection has one subnet: the first.
      network: glue.ConnectionNetwork.vpc(network.vpc, network.vpcSubnets),
      securityGroups: [this.workers, ...network.securityGroups],
    });
  }

  /** Lets jobs and crawlers of the role run in the network. */
  public grantUse(role: iam.IRole): void {
    const arn = (service: string, resource: string, resourceName?: string) => Stack.of(this).formatArn({ service, resource, resourceName });
    [
      ...this.network.interfaceStatements('glue', this.workers),
      // Glue marks the network interfaces that it makes.
      new iam.PolicyStatement({
        actions: ['ec2:CreateTags', 'ec2:DeleteTags'],
        resources: [arn('ec2', 'network-interface', '*')],
        conditions: { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['aws-glue-service-resource'] } },
      }),
      new iam.PolicyStatement({
        actions: ['glue:GetConnection'], resources: [arn('glue', 'catalog'), arn('glue', 'connection', this.connection.connectionName)],
      }),
    ].forEach((statement) => role.addToPrincipalPolicy(statement));
  }
}
