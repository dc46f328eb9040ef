// A bookmarks service that says with metlog what it does: `PORT=8000 node app.js` (port 0 takes a free one).
// Where messages go is the client's default: METLOG_ENDPOINT, or else the sidecar of this host.
'use strict';

const { randomUUID } = require('node:crypto');
const { appendFileSync } = require('node:fs');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const { SEVERITY, clientFromJsonConfig } = require('metlog');

const NAME = 'bookmarks-node';
const PORT = Number(process.env.PORT ?? 8000);
const MOST_BOOKMARKS = 1000;

const metlog = clientFromJsonConfig({
  sender: { factory: 'metlog/senders:zmqPushSenderFactory' },
  logger: NAME,
  // Lines for debugging stay here.
  filters: [['metlog/filters:severityMaxProvider', { severity: SEVERITY.INFORMATIONAL }]],
});

/** The newest bookmarks, by number. */
const bookmarks = new Map([[1, 'https://nodejs.org/']]);
let added = bookmarks.size;

/** The pages; each gives back a status and an answer. */
const routes = [
  ['GET', /^\/bookmarks$/, list],
  ['POST', /^\/bookmarks$/, add],
  ['GET', /^\/bookmarks\/(\d+)$/, show],
  ['GET', /^\/bookmarks\/(\d+)\/preview$/, preview],
];

/** Answers a request, and tells about it. */
async function handle(request, response) {
  const { method, url: path } = request;
  const [status, answer] = await route(request);

  metlog.incr(`status.${status}`);
  const request_id = request.headers['x-request-id'] ?? randomUUID();
  metlog.metlog('services', { fields: { request_id, method, path, status } });
  if (!server.listening) {
    // The process is about to end: the client shall not come back on this connection.
    response.setHeader('Connection', 'close');
  }
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(answer));
}

/** Finds who answers. */
async function route(request) {
  const body = await read(request);
  for (const [method, pattern, page] of routes) {
    const found = request.url.match(pattern);
    if (method === request.method && found) {
      return page(Number(found[1]), body);
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

function add(_number, body) {
  const url = urlOf(body);
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

function urlOf(body) {
  try {
    return JSON.parse(body)?.url;
  } catch {
    return undefined;
  }
}

function show(number) {
  const url = bookmarks.get(number);
  if (url === undefined) {
    metlog.warning(`no bookmark ${number}`);
    return [404, { error: 'no such bookmark' }];
  }
  metlog.debug(`bookmark ${number} found`);
  return [200, { url }];
}

/** Stands for a page that takes its time: 5 to 45 ms, by the bookmark's number. */
async function preview(number) {
  const [status, answer] = show(number);
  if (status === 200) {
    await sleep(5 * (1 + (number % 9)));
  }
  return [status, answer];
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
