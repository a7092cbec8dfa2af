import type { OAuth2Choice, OAuth2Spec } from '../../../catalogue/_spec/index.ts';
import { fillTemplate } from '../../base/template.ts';
import { holesFor, urlIfComplete, type Holes, type TemplateInput } from '../input.ts';
import type { Discovery } from './discovery.ts';
import { oauth2Errors } from './errors.ts';

/**
 * The provider's OAuth 2 facts with the app's choices applied (`choices` of the spec × the integration's settings) and
 * its issuer filled. Resolves to undefined for a provider of another mode.
 */
export function chosenOAuth2(input: TemplateInput): OAuth2Spec | undefined {
  let oauth2 = input.provider.oauth2;
  for (const [name, options] of Object.entries(oauth2?.choices ?? {})) {
    const given = Object.hasOwn(input.integrationConfig, name) ? input.integrationConfig[name] : undefined;
    const option = given ?? input.provider.integrationConfig?.[name]?.default;
    if (oauth2 !== undefined && typeof option === 'string' && Object.hasOwn(options, option)) {
      oauth2 = applyChoice(oauth2, options[option] as OAuth2Choice);
    }
  }
  if (oauth2 === undefined) return undefined;
  const issuer = issuerOf(oauth2, input);
  return issuer === undefined ? oauth2 : { ...oauth2, issuer };
}

function applyChoice(oauth2: OAuth2Spec, choice: OAuth2Choice): OAuth2Spec {
  return {
    ...oauth2,
    ...(choice.pkce === undefined ? {} : { pkce: choice.pkce }),
    ...(choice.pkceOffReason === undefined ? {} : { pkceOffReason: choice.pkceOffReason }),
    ...(choice.clientAuth === undefined ? {} : { token: { ...oauth2.token, clientAuth: choice.clientAuth } }),
    ...(choice.scopeSeparator === undefined ? {} : { scopes: { ...oauth2.scopes, separator: choice.scopeSeparator } }),
    ...(choice.rotation === undefined ? {} : { refresh: { ...oauth2.refresh, rotation: choice.rotation } }),
  };
}

/** The issuer of the server, where the spec names one and its holes are filled. */
export function issuerOf(oauth2: OAuth2Spec, input: TemplateInput): string | undefined {
  if (oauth2.issuer === undefined) return undefined;
  const holes = holesFor(input);
  // Checked as a URL, but handed on as typed: an issuer is compared character by character (RFC 8414 3.3).
  if (urlIfComplete(oauth2.issuer, holes) === undefined) return undefined;
  return fillTemplate(oauth2.issuer, holes.values, { fields: holes.fields });
}

/**
 * The issuer whose metadata must be read before a flow can start; undefined when the URLs are all there.
 * Errors: `incomplete_integration` when there is neither.
 */
export function issuerToRead(oauth2: OAuth2Spec, input: TemplateInput): string | undefined {
  if (isKnown(oauth2.authorize.url, input) && isKnown(oauth2.token.url, input)) return undefined;
  const issuer = issuerOf(oauth2, input);
  // A spec without an issuer waits for connection values (a tenant's host): that is for the flow to demand.
  if (issuer === undefined && oauth2.issuer !== undefined) throw oauth2Errors.fail('incomplete_integration');
  return issuer;
}

/** The spec with its empty URLs taken from the issuer's metadata; URLs that the developer set stay. */
export function withDiscovery(oauth2: OAuth2Spec, discovery: Discovery, input: TemplateInput): OAuth2Spec {
  return {
    ...oauth2,
    authorize: isKnown(oauth2.authorize.url, input)
      ? oauth2.authorize
      : { ...oauth2.authorize, url: discovery.authorizationUrl },
    token: isKnown(oauth2.token.url, input) ? oauth2.token : { ...oauth2.token, url: discovery.tokenUrl },
    issuer: discovery.issuer,
    issRequired: discovery.issSupported,
  };
}

function isKnown(template: string, input: TemplateInput): boolean {
  const holes: Holes = holesFor(input, { clientId: 'sample' });
  return urlIfComplete(template, holes) !== undefined;
}
