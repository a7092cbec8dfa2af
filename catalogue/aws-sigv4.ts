import type { ProviderSpec } from './_spec/index.ts';

/** Commercial regions with a regional STS endpoint. */
const REGIONS = [
  'us-east-1',
  'us-east-2',
  'us-west-1',
  'us-west-2',
  'af-south-1',
  'ap-east-1',
  'ap-northeast-1',
  'ap-northeast-2',
  'ap-northeast-3',
  'ap-south-1',
  'ap-south-2',
  'ap-southeast-1',
  'ap-southeast-2',
  'ap-southeast-3',
  'ap-southeast-4',
  'ca-central-1',
  'ca-west-1',
  'eu-central-1',
  'eu-central-2',
  'eu-north-1',
  'eu-south-1',
  'eu-south-2',
  'eu-west-1',
  'eu-west-2',
  'eu-west-3',
  'il-central-1',
  'me-central-1',
  'me-south-1',
  'sa-east-1',
];

const provider = {
  name: 'aws-sigv4',
  displayName: 'Amazon Web Services',
  categories: ['dev-tools', 'storage'],
  authMode: 'AWS_SIGV4',
  docsUrl: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html',
  setupGuideUrl: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html',
  summary: 'Use one service of your AWS account through a role that you define.',
  credentials: {
    role_arn: {
      title: 'Role ARN',
      description: 'A role that trusts the AWS account of this app.',
      kind: 'text',
      example: 'arn:aws:iam::123456789012:role/acme-integration',
      order: 1,
    },
    region: {
      title: 'Region',
      description: 'Where your resources are.',
      kind: 'enum',
      options: REGIONS,
      default: 'us-east-1',
      order: 2,
    },
    external_id: {
      title: 'External id',
      description: 'As written in the trust policy of the role.',
      kind: 'text',
      optional: true,
      order: 3,
    },
  },
  connectionConfig: {
    region: {
      title: 'Region',
      description: 'Of the connection; part of the API address.',
      kind: 'enum',
      options: REGIONS,
      automated: true,
    },
  },
  integrationConfig: {
    service: {
      title: 'Service',
      description: 'Name of the service in addresses and signatures.',
      kind: 'label',
      example: 's3',
      order: 1,
    },
  },
  sigv4: {
    service: '${integrationConfig.service}',
    region: '${credentials.region}',
    stsUrl: 'https://sts.${credentials.region}.amazonaws.com/',
    unsignedPayload: ['s3'],
  },
  api: {
    baseUrl: 'https://${integrationConfig.service}.${connectionConfig.region}.amazonaws.com',
    auth: { in: 'signature' },
  },
  disconnect: {
    kind: 'unsupported',
    customerMustDo: 'Delete the role, or take the account of this app out of its trust policy.',
  },
  gotchas: [
    "The integration has credentials of type `AWS_SIGV4`: access key id and secret access key of the app's own account.",
    'The customer makes a role that trusts that account. Fix an external id per customer in the connect session: without one, a role can be borrowed by whoever knows its name.',
    'Temporary keys live an hour and are renewed by the role again.',
    'For S3 a large body is streamed unsigned (`UNSIGNED-PAYLOAD`); every other service needs it whole, at most 8 MiB.',
    'An integration is for one service; make one integration for each.',
    'Services whose signature name is not their host name, global services, China and GovCloud are not covered.',
  ],
  sources: [
    'https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html (read 2026-11)',
    'The signature: test vectors of the AWS suite, IAM and S3, in the tests of the protocol (read 2026-11)',
    'https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (known by heart, not read 2026-11)',
  ],
} satisfies ProviderSpec as ProviderSpec;

export default provider;
