// A bookmarks service that says with metlog what it does: `PORT=8000 node app.js` (port 0 takes a free one).
// Where messages go is the client's default: METLOG_ENDPOINT, or else the sidecar of this host.
'use strict';

const { createHash, randomUUID, timingSafeEqual } = require('node:crypto');
const { appendFileSync } = require('node:fs');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const { SEVERITY, captureUncaught, clientFromJsonConfig } = require('metlog');
const { AUTH_FAILURE } = require('metlog/cef');
const { version } = require('metlog/package.json');

const NAME = 'bookmarks-node';
const PORT = Number(process.env.PORT ?? 8000);
const MOST_BOOKMARKS = 1000;

/** Who may log in; a real service keeps no passwords. */
const USERS = new Map([['jane', 'correct horse']]);

/** The product that reports security events. */
const PRODUCT = {
  'cef.version': '0',
  'cef.vendor': 'metlog',
  'cef.product': NAME,
  'cef.device_version': version,
};

const metlog = clientFromJsonConfig({
  sender: { factory: 'metlog/senders:zmqPushSenderFactory' },
  logger: NAME,
  // Lines for debugging stay here.
  filters: [['metlog/filters:severityMaxProvider', { severity: SEVERITY.INFORMATIONAL }]],
  plugins: { cef: { provider: 'metlog/cef:configPlugin', syslog_facility: 'LOCAL4' } },
});
captureUncaught(metlog);

/** The newest bookmarks, by number. */
const bookmarks = new Map([[1, 'https://nodejs.org/']]);
let added = bookmarks.size;

/** The pages; each gives back a status and an answer. */
const routes = [
  ['GET', /^\/bookmarks$/, list],
  ['POST', /^\/bookmarks$/, add],
  ['GET', /^\/bookmarks\/(\d+)$/, show],
  ['GET', /^\/bookmarks\/(\d+)\/preview$/, preview],
  ['POST', /^\/login$/, login],
  ['GET', /^\/crash$/, crash],
];

/** Answers a request, and tells about it. */
async function handle(request, response) {
  const { method, url: path } = request;
  const request_id = request.headers['x-request-id'] ?? randomUUID();
  const body = await read(request);
  const [status, answer] = await answerTo(request, body, request_id);

  metlog.incr(`status.${status}`);
  metlog.metlog('services', { fields: { request_id, method, path, status } });
  if (!server.listening) {
    // The process is about to end: the client shall not come back on this connection.
    response.setHeader('Connection', 'close');
  }
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(answer));
}

/** The answer of a page; what a page throws is reported, and the service goes on. */
async function answerTo(request, body, request_id) {
  try {
    return await route(request, body);
  } catch (error) {
    const { method, url } = request;
    metlog.sendException(error, { msg: `${method} ${url} failed`, extra: { request_id } });
    return [500, { error: 'this page has a bug' }];
  }
}

/** Finds who answers. */
function route(request, body) {
  for (const [method, pattern, page] of routes) {
    const found = request.url.match(pattern);
    if (method === request.method && found) {
      return page({ number: Number(found[1]), body, request });
    }
  }
  return [404, { error: 'no such page' }];
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function list() {
  return [200, Object.fromEntries([...bookmarks].slice(-10))];
}

function add({ body }) {
  const url = parsed(body)?.url;
  if (typeof url !== 'string') {
    metlog.error('a bookmark without url was refused');
    return [400, { error: 'expected {"url": ...}' }];
  }
  added += 1;
  bookmarks.set(added, url);
  bookmarks.delete(added - MOST_BOOKMARKS);
  metlog.info(`bookmark ${added} added`);
  return [201, { number: added }];
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function show({ number }) {
  const url = bookmarks.get(number);
  if (url === undefined) {
    metlog.warning(`no bookmark ${number}`);
    return [404, { error: 'no such bookmark' }];
  }
  metlog.debug(`bookmark ${number} found`);
  return [200, { url }];
}

/** Stands for a page that takes its time: 5 to 45 ms, by the bookmark's number. */
async function preview({ number }) {
  const [status, answer] = show({ number });
  if (status === 200) {
    await sleep(5 * (1 + (number % 9)));
  }
  return [status, answer];
}

/** Tells whether the body names a user and the right password. */
function login({ body, request }) {
  const { user, password } = parsed(body) ?? {};
  if (typeof user !== 'string' || typeof password !== 'string') {
    return [400, { error: 'expected {"user": ..., "password": ...}' }];
  }
  if (isPassword(password, USERS.get(user))) {
    metlog.info(`${user} logged in`);
    return [200, { user }];
  }
  metlog.cef('Login failed', 5, request, PRODUCT, { username: user, signature: AUTH_FAILURE });
  return [401, { error: 'wrong user or password' }];
}

/** Takes the same time whatever the two share. */
function isPassword(given, expected) {
  const digest = (text) => createHash('sha256').update(text).digest();
  return expected !== undefined && timingSafeEqual(digest(given), digest(expected));
}

/** Stands for a page with a bug: the counter it shows is no number. */
function crash() {
  return [200, { visits: visits('12x') }];
}

function visits(counter) {
  try {
    return Number(BigInt(counter));
  } catch (cause) {
    throw new Error('cannot read the counter of visits', { cause });
  }
}

const timed = metlog.timer(handle, 'request');
const server = http.createServer((request, response) => {
  timed(request, response).catch((error) => {
    metlog.error(`a request ended early: ${error.message}`);
    response.destroy();
  });
});
server.listen(PORT, '127.0.0.1', () => {
  metlog.info(`loaded with ${bookmarks.size} bookmark`);
  console.log(`listening at http://127.0.0.1:${server.address().port}`);
});

// Requests that are under way end first, then their messages leave.
process.on('SIGTERM', () => {
  server.close(async () => {
    await metlog.closeAsync();
    report();
  });
  server.closeIdleConnections();
});

/** For the demo: writes down what this process thinks it has sent. */
function report() {
  const path = process.env.METLOG_DEMO_REPORT;
  if (path) {
    const { attempted, sent } = metlog.stats();
    appendFileSync(path, `${JSON.stringify({ logger: NAME, pid: process.pid, attempted, sent })}\n`);
  }
}
