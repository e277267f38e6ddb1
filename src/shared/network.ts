import { Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

/** What a service does with network interfaces as the role of a function, a job or a model. */
interface InterfaceActions {
  readonly onInterfaces: string[];
  /** IAM knows no resources for these. */
  readonly describes: string[];
}

type VpcService = 'lambda' | 'glue' | 'sagemaker';

const INTERFACE_ACTIONS: { readonly [service in VpcService]: InterfaceActions } = {
  // https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
  lambda: {
    onInterfaces: ['ec2:AssignPrivateIpAddresses', 'ec2:DeleteNetworkInterface', 'ec2:UnassignPrivateIpAddresses'],
    describes: ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeSubnets'],
  },
  // https://docs.aws.amazon.com/glue/latest/dg/create-service-policy.html
  glue: {
    onInterfaces: ['ec2:DeleteNetworkInterface'],
    describes: [
      'ec2:DescribeNetworkInterfaces', 'ec2:DescribeRouteTables', 'ec2:DescribeSecurityGroups', 'ec2:DescribeSubnets', 'ec2:DescribeVpcAttribute',
      'ec2:DescribeVpcEndpoints',
    ],
  },
  // https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
  sagemaker: {
    onInterfaces: ['ec2:CreateNetworkInterfacePermission', 'ec2:DeleteNetworkInterface', 'ec2:DeleteNetworkInterfacePermission'],
    describes: ['ec2:DescribeDhcpOptions', 'ec2:DescribeNetworkInterfaces', 'ec2:DescribeSecurityGroups', 'ec2:DescribeSubnets', 'ec2:DescribeVpcs'],
  },
};

/** Of a function and of a job (botocore models `lambda` and `sagemaker`, `VpcConfig.SecurityGroupIds`). */
const MAX_SECURITY_GROUPS = 5;

export interface NetworkOptions {
  readonly vpc?: ec2.IVpc;
  readonly vpcSubnets?: ec2.SubnetSelection;
  readonly securityGroups?: ec2.ISecurityGroup[];
}

/** Where the functions, jobs and models of a construct run: subnets of a VPC, and the security groups that they share. */
export class Network implements ec2.IConnectable {
  /** The network that a construct was given, with a security group of its own unless groups were given; nothing without a VPC. */
  public static of(scope: Construct, { vpc, vpcSubnets, securityGroups }: NetworkOptions): Network | undefined {
    const subject = `${scope.constructor.name} "${scope.node.id}"`;
    const groups = securityGroups?.length;
    if (vpc && groups !== undefined && (groups < 1 || groups > MAX_SECURITY_GROUPS)) {
      throw new Error(`${subject}: securityGroups has ${groups} entries; Lambda and SageMaker take 1 to ${MAX_SECURITY_GROUPS}`);
    }
    if (vpc) {
      return new Network(scope, vpc, vpcSubnets, securityGroups ?? [
        new ec2.SecurityGroup(scope, 'SecurityGroup', { vpc, description: descriptionOf(scope) }),
      ]);
    }
    if (vpcSubnets || securityGroups) {
      throw new Error(`${subject}: ${vpcSubnets ? 'vpcSubnets' : 'securityGroups'} need vpc: give the VPC that they are in`);
    }
    return undefined;
  }

  public readonly connections: ec2.Connections;

  private constructor(
    private readonly scope: Construct,
    public readonly vpc: ec2.IVpc,
    public readonly vpcSubnets: ec2.SubnetSelection | undefined,
    public readonly securityGroups: ec2.ISecurityGroup[],
  ) {
    this.connections = new ec2.Connections({ securityGroups });
  }

  public get subnetIds(): string[] {
    return this.vpc.selectSubnets(this.vpcSubnets).subnetIds;
  }

  public get securityGroupIds(): string[] {
    return this.securityGroups.map((group) => group.securityGroupId);
  }

  /** As SageMaker takes it for jobs and models (`VpcConfig`). */
  public get vpcConfig(): { Subnets: string[]; SecurityGroupIds: string[] } {
    return { Subnets: this.subnetIds, SecurityGroupIds: this.securityGroupIds };
  }

  /**
   * What a service needs to attach something to this network as a role.
   * @param more security groups beside those of the network
   */
  public interfaceStatements(service: VpcService, ...more: ec2.ISecurityGroup[]): iam.PolicyStatement[] {
    const groups = [...this.securityGroups, ...more].map(({ securityGroupId }) => securityGroupId);
    return interfaceStatements(this.scope, service, this.subnetIds, groups);
  }
}

/** What a service needs to attach something to subnets and security groups as a role. */
export function interfaceStatements(
  scope: Construct, service: VpcService, subnetIds: readonly string[], securityGroupIds: readonly string[],
): iam.PolicyStatement[] {
  const arn = (resource: string, resourceName: string, account?: string) =>
    Stack.of(scope).formatArn({ service: 'ec2', account, resource, resourceName });
  const { onInterfaces, describes } = INTERFACE_ACTIONS[service];
  // Lambda asks for its actions on resources of any type.
  const interfaces = service === 'lambda' ? arn('*', '*') : arn('network-interface', '*');
  return [
    new iam.PolicyStatement({
      actions: ['ec2:CreateNetworkInterface'],
      resources: [
        arn('network-interface', '*'),
        // The subnets of a shared VPC belong to another account.
        ...subnetIds.map((id) => arn('subnet', id, '*')),
        ...securityGroupIds.map((id) => arn('security-group', id)),
      ],
    }),
    new iam.PolicyStatement({ actions: onInterfaces, resources: [interfaces] }),
    new iam.PolicyStatement({ actions: describes, resources: ['*'] }),
  ];
}

/** In the characters and the length that EC2 takes (`CreateSecurityGroup`, `Description`). */
function descriptionOf(scope: Construct): string {
  return `What ${scope.node.path} runs`.replace(/[^\w .:/()#,@[\]+=&;{}!$*-]/g, '-').slice(0, 255);
}

/** The security groups of a construct, for its `connections`. */
export function connectionsOf(scope: Construct, network: Network | undefined): ec2.Connections {
  if (!network) {
    throw new Error(`${scope.constructor.name} "${scope.node.id}": it has no security groups, because it runs in no VPC: give it vpc`);
  }
  return network.connections;
}
