/**
 * @module catalogue
 *
 * Every provider that can be connected, by name. A provider is one file beside this one and one line in each list here;
 * `_spec/check.test.ts` fails when a file is missing from them.
 */
import type { ProviderSpec } from './_spec/index.ts';
import appleAppStore from './apple-app-store.ts';
import ashby from './ashby.ts';
import atlassian from './atlassian.ts';
import awsSigv4 from './aws-sigv4.ts';
import box from './box.ts';
import checkbook from './checkbook.ts';
import checkbookSandbox from './checkbook-sandbox.ts';
import checkrPartner from './checkr-partner.ts';
import checkrPartnerStaging from './checkr-partner-staging.ts';
import docusign from './docusign.ts';
import freshdesk from './freshdesk.ts';
import ghostAdmin from './ghost-admin.ts';
import github from './github.ts';
import githubApp from './github-app.ts';
import google from './google.ts';
import hubspot from './hubspot.ts';
import klaviyo from './klaviyo.ts';
import looker from './looker.ts';
import microsoft from './microsoft.ts';
import notion from './notion.ts';
import oauth2ClientCredentials from './oauth2-client-credentials.ts';
import oauth2Generic from './oauth2-generic.ts';
import openweather from './openweather.ts';
import paypal from './paypal.ts';
import privateApiBasic from './private-api-basic.ts';
import privateApiBearer from './private-api-bearer.ts';
import quickbooks from './quickbooks.ts';
import salesforce from './salesforce.ts';
import shopify from './shopify.ts';
import slack from './slack.ts';
import square from './square.ts';
import strava from './strava.ts';
import stripe from './stripe.ts';
import tiktok from './tiktok.ts';
import trello from './trello.ts';
import twilio from './twilio.ts';
import twitter from './twitter.ts';
import unauthenticated from './unauthenticated.ts';
import xero from './xero.ts';
import xref from './xref.ts';
import zendesk from './zendesk.ts';
import zohoCrm from './zoho-crm.ts';

const all: ProviderSpec[] = [
  appleAppStore,
  ashby,
  atlassian,
  awsSigv4,
  box,
  checkbook,
  checkbookSandbox,
  checkrPartner,
  checkrPartnerStaging,
  docusign,
  freshdesk,
  ghostAdmin,
  github,
  githubApp,
  google,
  hubspot,
  klaviyo,
  looker,
  microsoft,
  notion,
  oauth2ClientCredentials,
  oauth2Generic,
  openweather,
  paypal,
  privateApiBasic,
  privateApiBearer,
  quickbooks,
  salesforce,
  shopify,
  slack,
  square,
  strava,
  stripe,
  tiktok,
  trello,
  twilio,
  twitter,
  unauthenticated,
  xero,
  xref,
  zendesk,
  zohoCrm,
];

/** Sorted by name. */
export const catalogue: ReadonlyMap<string, ProviderSpec> = new Map(
  all.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((provider) => [provider.name, provider]),
);
