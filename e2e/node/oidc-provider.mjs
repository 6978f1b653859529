// The certified OpenID provider with people of ours: somebody else's idea of the protocol, to test against.
//
// One argument, JSON: {"port": 0, "issuer": "…", "redirect_uris": ["…"], "id_token_alg": "RS256"}. The issuer is its own URL
// unless one is named, under which a proxy publishes it. Says {"issuer": "…", "port": …} when it listens, and ends when its
// input does. Two clients, one for each way to send a secret: "basic" and "post", both with the secret
// "a-secret-of-the-cast". Tests write to /cast/people/<sub>; /cast/asked counts what the token endpoint granted.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Provider } from 'oidc-provider';

const options = { port: 0, redirect_uris: [], id_token_alg: 'RS256', ...JSON.parse(process.argv[2] ?? '{}') };

const people = new Map([
  ['alice', { name: 'Alice Ames', email: 'alice@example.com', email_verified: true, groups: ['engineering', 'admins'] }],
  ['bob', { name: 'Bob Berg', email: 'bob@example.com', email_verified: true, groups: ['sales'] }],
  ['carol', { name: 'Carol Cruz', email: 'carol@elsewhere.test', email_verified: true, groups: [] }],
  ['dave', { name: 'Dave Dahl', email: 'dave@example.com', email_verified: false, groups: ['engineering'] }],
]);
const asked = { authorization_code: 0, refresh_token: 0 };

const client = (client_id, token_endpoint_auth_method) => ({
  client_id,
  client_secret: 'a-secret-of-the-cast',
  token_endpoint_auth_method,
  redirect_uris: options.redirect_uris,
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  id_token_signed_response_alg: options.id_token_alg,
});

const key = (type, parameters, alg) => ({
  ...generateKeyPairSync(type, parameters).privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg,
});

const server = createServer();
await new Promise((listening) => server.listen(options.port, '127.0.0.1', listening));
const { port } = server.address();
const issuer = options.issuer ?? `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [client('basic', 'client_secret_basic'), client('post', 'client_secret_post')],
  jwks: { keys: [key('rsa', { modulusLength: 2048 }, 'RS256'), key('ec', { namedCurve: 'P-256' }, 'ES256')] },
  cookies: { keys: [randomUUID()] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
  // A real company's provider is told to put the groups where a client can see them at once.
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, sub) => {
    const person = people.get(sub);
    return person && !person.disabled ? { accountId: sub, claims: () => ({ sub, ...person, disabled: undefined }) } : undefined;
  },
  ttl: { Session: 86400, Grant: 86400, Interaction: 3600, IdToken: 300, AccessToken: 300, RefreshToken: 86400 },
});
provider.proxy = Boolean(options.issuer);
provider.on('grant.success', ({ oidc }) => { asked[oidc.params.grant_type] += 1; });
provider.on('server_error', (_, error) => { console.error(error); });

const page = (uid) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<h1>Who are you?</h1>
<form method="post" action="/interaction/${uid}">
${[...people].map(([sub, { name }]) => `<p><button name="person" value="${sub}">${name}</button></p>`).join('\n')}
</form></html>`;

async function body(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

// Signs in and consents in one step: the gateway asks for consent so that it may have a refresh token.
async function interact(request, response) {
  const { uid, params } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(uid));
    return;
  }
  const accountId = new URLSearchParams(await body(request)).get('person');
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function obeyTest(request, response) {
  const [, , what, sub] = request.url.split('/');
  if (what === 'people' && people.has(sub) && request.method === 'POST') {
    people.set(sub, { ...people.get(sub), ...JSON.parse(await body(request)) });
  }
  const answer = what === 'asked' ? asked : people.get(sub);
  response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
}

const rest = provider.callback();
server.on('request', (request, response) => {
  const failed = (error) => { response.writeHead(500).end(String(error)); };
  if (request.url.startsWith('/interaction/')) interact(request, response).catch(failed);
  else if (request.url.startsWith('/cast/')) obeyTest(request, response).catch(failed);
  else rest(request, response);
});

process.stdin.resume().on('end', () => process.exit(0));
console.log(JSON.stringify({ issuer, port }));
