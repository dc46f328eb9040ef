// What is told of a request: the same by every framework, each over HTTP.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const test = require('node:test');

const { FRAMEWORKS, listening } = require('./frameworks.js');
const { eventOf, memoryClient, run, until } = require('./support.js');

/** One request over HTTP: its status and body. */
function ask(url, { method = 'GET', headers = {}, body, agent } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, text, isReused: request.reusedSocket }),
      );
    });
    request.on('error', reject).end(body);
  });
}

/** Type and name of the messages, the name of metrics only. */
function namesOf(messages) {
  return messages.map(({ type, fields }) => (fields.name === undefined ? type : `${type} ${fields.name}`));
}

function metric(messages, name) {
  return messages.find(({ fields }) => fields.name === name);
}

for (const { name, serve, routes, exceptions } of FRAMEWORKS) {
  /** Serves with a client in memory, for one test. */
  const serving = async (t, options = {}) => {
    const { client, sender } = memoryClient();
    const { url, close } = await serve(client, { client, ...options });
    t.after(close);
    const told = (last) =>
      until(() => metric(sender.messages, last) !== undefined, `${last} is told`).then(() => sender.messages);
    return { client, sender, url, told };
  };

  test(`${name}: a request is timed and counted by status and by route`, async (t) => {
    const { url, told } = await serving(t);
    assert.equal((await ask(`${url}/items/42?secret=1`)).status, 200);
    const messages = await told('http.server.status.200');
    const route = routes ? ['timer http.server.route.items.id.GET'] : [];
    assert.deepEqual(namesOf(messages), [
      'oldstyle',
      'timer http.server.request',
      ...route,
      'counter http.server.status.2xx',
      'counter http.server.status.200',
    ]);
    const { fields, payload } = metric(messages, 'http.server.request');
    assert.match(payload, /^\d+$/);
    const { method, route: template, status } = fields;
    assert.deepEqual([method, template, status], ['GET', routes ? '/items/:id' : null, 200]);
  });

  test(`${name}: what is sent during a request names it, also after waiting`, async (t) => {
    const { url, told } = await serving(t);
    await Promise.all(
      ['a', 'b', 'c'].map((id) => ask(`${url}/items/${id}`, { headers: { 'x-request-id': `id-${id}` } })),
    );
    await told('http.server.status.200');
    const messages = await told('http.server.request');
    const lines = messages.filter(({ type }) => type === 'oldstyle').map(({ fields }) => fields);
    lines.sort((one, other) => one.path.localeCompare(other.path));
    assert.deepEqual(
      lines,
      ['a', 'b', 'c'].map((id) => ({ request_id: `id-${id}`, method: 'GET', path: `/items/${id}` })),
    );
  });

  test(`${name}: what is sent once the body is read names the request`, async (t) => {
    const { url, told } = await serving(t);
    const headers = { 'content-type': 'application/json' };
    await ask(`${url}/body`, { method: 'POST', headers, body: JSON.stringify({ a: 'x'.repeat(50_000) }) });
    const messages = await told('http.server.status.200');
    assert.equal(messages[0].fields.path, '/body');
    assert.match(messages[0].fields.request_id, /^[0-9a-f]{32}$/);
  });

  test(`${name}: nothing of a request stays bound after it`, async (t) => {
    const { client, sender, url, told } = await serving(t);
    await ask(`${url}/items/1`);
    await told('http.server.status.200');
    client.info('outside');
    assert.deepEqual(sender.messages.at(-1).fields, {});
  });

  test(`${name}: what one request has bound is not on the next one of its connection`, async (t) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const { client, sender, url } = await serving(t);
    for (const path of ['/leave', '/items/1', '/items/2']) {
      const { isReused } = await ask(url + path, { agent });
      assert.equal(isReused, path !== '/leave');
    }
    const requests = () => sender.messages.filter(({ fields }) => fields.name === 'http.server.request');
    await until(() => requests().length === 3, 'all three are told');
    client.flush();
    assert.ok(sender.messages.every(({ fields }) => fields.leftover === undefined));
    const lines = sender.messages.filter(({ type }) => type === 'oldstyle').map(({ fields }) => fields);
    assert.deepEqual(
      lines.map(({ path }) => path),
      ['/items/1', '/items/2'],
    );
    assert.equal(new Set(lines.map(({ request_id: id }) => id)).size, 2);
  });

  test(`${name}: an exception names its route and the status it asks for`, async (t) => {
    if (!exceptions) {
      return;
    }
    const { url, told } = await serving(t);
    assert.equal((await ask(`${url}/busy/7`)).status, 503);
    const messages = await told('http.server.status.503');
    const sentry = messages.find(({ type }) => type === 'sentry');
    for (const { fields } of [metric(messages, 'http.server.exception'), sentry]) {
      assert.deepEqual([fields.route, fields.status], ['/busy/:id', 503]);
    }
  });

  test(`${name}: an exception is sent once, counted, and answered as without us`, async (t) => {
    const { url, told } = await serving(t);
    assert.equal((await ask(`${url}/fail`)).status, 500);
    const messages = await told('http.server.status.500');
    if (!exceptions) {
      return;
    }
    const errors = messages.filter(({ type }) => type === 'sentry');
    assert.deepEqual(
      errors.map((error) => [eventOf(error).message, error.fields.msg]),
      [['TypeError: no item', 'GET /fail']],
    );
    const { fields } = metric(messages, 'http.server.exception');
    assert.deepEqual([fields.exception, fields.status, fields.path], ['TypeError', 500, '/fail']);
  });

  test(`${name}: a refusal that is the client's fault is no exception`, async (t) => {
    const { url, told } = await serving(t);
    assert.equal((await ask(`${url}/refuse`)).status, 403);
    const messages = await told('http.server.status.403');
    assert.equal(metric(messages, 'http.server.exception'), undefined);
    assert.ok(metric(messages, 'http.server.status.4xx'));
  });

  test(`${name}: paths that clients invent make no new names`, async (t) => {
    const { url, told } = await serving(t);
    await ask(`${url}/missing`);
    const messages = await told('http.server.status.404');
    assert.deepEqual(namesOf(messages), [
      'timer http.server.request',
      'counter http.server.status.4xx',
      'counter http.server.status.404',
    ]);
  });

  test(`${name}: a client that goes away is told`, async (t) => {
    const { url, told } = await serving(t);
    const request = http.get(`${url}/slow`).on('error', () => {});
    await new Promise((resolve) => request.on('socket', (socket) => socket.on('connect', resolve)));
    setTimeout(() => request.destroy(), 50);
    const messages = await told('http.server.disconnect');
    assert.equal(metric(messages, 'http.server.request').fields.status, 0);
  });

  test(`${name}: the request is at hand for a security event`, async (t) => {
    const { url } = await serving(t);
    const { text } = await ask(`${url}/cef`, { headers: { 'user-agent': 'probe' } });
    assert.match(text, /request=\/cef/);
    assert.match(text, /cs1=probe/);
    assert.match(text, /src=127\.0\.0\.1/);
  });

  test(`${name}: options are kept`, async (t) => {
    const options = { prefix: 'web', ignoredPaths: ['/health'], requestMessage: 'wsgi', bind: false };
    const { sender, url, told } = await serving(t, options);
    await ask(`${url}/health`);
    await ask(`${url}/items/7`, {
      headers: { authorization: 'secret', 'x-csrf-token': 'secret', 'x-asked': 'yes' },
    });
    await told('web.status.200');
    await until(() => sender.messages.at(-1).type === 'wsgi', 'the message of the request is told');
    const messages = sender.messages;
    assert.equal(messages.filter(({ fields }) => fields.name === 'web.request').length, 1);
    assert.deepEqual(messages[0].fields, {});
    const { fields } = messages.at(-1);
    const { authorization, 'x-asked': asked } = fields.headers;
    assert.deepEqual([fields.path, authorization, asked], ['/items/7', '********', 'yes']);
    assert.equal(fields.headers['x-csrf-token'], '********');
  });

  test(`${name}: an option that there is not is an error when it is set up`, async () => {
    const { client } = memoryClient();
    await assert.rejects(async () => {
      const { close } = await serve(client, { client, prefx: 'a' });
      await close();
    }, /unknown option "prefx"/);
  });
}

test('plain http: what a listener throws ends the process as without us, and is sent', async () => {
  const source = `
    const http = require('node:http');
    const { MetlogClient } = require('metlog');
    const { stdoutSenderFactory } = require('metlog/senders');
    const client = new MetlogClient(stdoutSenderFactory(), 'app');
    const fail = process.argv[1] === 'sync'
      ? () => { throw new TypeError('thrown'); }
      : async () => { throw new TypeError('thrown'); };
    const server = http.createServer(require('metlog/http').wrap(fail, { client }));
    server.listen(0, () => http.get({ port: server.address().port }).on('error', () => {}));`;
  for (const kind of ['sync', 'async']) {
    const { code, stdout, stderr } = await run(source, { args: [kind] });
    assert.equal(code, 1, kind);
    assert.match(stderr, /TypeError: thrown/);
    assert.equal(stdout.split('\n').filter((line) => line.includes('"sentry"')).length, 1, kind);
  }
});

test('a client that fails harms no request', async (t) => {
  const { errors, wrap } = require('metlog/http');
  const client = {
    incr() {
      throw new Error('no');
    },
    get timer_send() {
      throw new Error('no');
    },
  };
  const { url, close } = await listening(
    http.createServer(wrap((_request, response) => response.end('ok'), { client })),
  );
  t.after(close);
  const before = errors();
  assert.equal((await ask(url)).status, 200);
  await until(() => errors() > before, 'the failure is counted');
});

const ROUTES = [
  ['/', 'root'],
  ['/items', 'items'],
  ['/items/:id/tags', 'items.id.tags'],
  ['/items/:id(\\d+)', 'items.id'],
  ['/items/{id}', 'items.id'],
  ['/items/{id:[0-9]{1,3}}/', 'items.id'],
  ['/files/*path', 'files.path'],
  ['/files/*', 'files'],
  ['/a{/:b}', 'a.b'],
  ['/é.b-c_d', 'b-c_d'],
  ['/^\\/x$/', 'x'],
  ['x'.repeat(500), 'x'.repeat(200)],
];

for (const [template, expected] of ROUTES) {
  test(`the route ${template.slice(0, 30)} is named ${expected.slice(0, 30)}`, () => {
    assert.equal(require('../lib/integrations/names.js').routeName(template), expected);
  });
}

const ANSWER = (_request, response) => response.send('ok');

/** What is mounted where, in both versions of Express, what is asked for, and the routes told by each. */
function mounting(framework) {
  const app = framework();
  const [router, inner, outer, sub] = [
    framework.Router(),
    framework.Router(),
    framework.Router(),
    framework(),
  ];
  router.get('/x', ANSWER);
  inner.get('/tags/:tag', ANSWER);
  outer.use('/:item/of', inner);
  sub.get('/y/:id', ANSWER);
  sub.use('/in/:deep', router);
  const mount = () => {
    app.use('/users/:user', outer);
    app.use('/other/:user', outer);
    app.use('/v:version', router);
    app.use('/f/:name.:ext', router);
    app.use('/Named/:id', router);
    app.use(/^\/t-\w+/, router);
    app.use(['/m1', '/m2'], router);
    app.use('/sub/:z', sub);
  };
  return { app, mount };
}

const MOUNTS = [
  { path: '/users/1/2/of/tags/3', route: '/users/:user/:item/of/tags/:tag' },
  { path: '/users/users/users/of/tags/users', route: '/users/:user/:item/of/tags/:tag', older: null },
  { path: '/other/a%20b/c/of/tags/d', route: '/other/:user/:item/of/tags/:tag' },
  { path: '/v123/x', route: '/v:version/x', express4: null, older: null },
  { path: '/f/a.b/x', route: '/f/:name.:ext/x', express4: null, older: null },
  { path: '/nAmEd/7/x', route: '/Named/:id/x', older: '/named/:id/x' },
  { path: '/t-abc/x', route: null, older: '/t-abc/x' },
  { path: '/m2/x', route: '/m1/x', express4: null, older: '/m2/x' },
  { path: '/sub/5/y/6', route: '/sub/:z/y/:id' },
  { path: '/sub/long-name/in/7/x', route: '/sub/:z/in/:deep/x' },
];

const EXPRESSES = [
  { kind: 'express', version: 'express' },
  { kind: 'express4', version: 'express4' },
  { kind: 'older', version: 'express', forget: 'rawPath' },
];

/** The layers of routers as versions before had them. */
function forgetting(router, name) {
  for (const layer of router.stack) {
    delete layer[name];
    if (layer.handle?.stack !== undefined) {
      forgetting(layer.handle, name);
    }
  }
}

/** Asks for each path, one after another, and gives back the routes that are told. */
async function routesOf(t, { version, forget }, paths) {
  const { client, sender } = memoryClient();
  const { app, mount } = mounting(require(version));
  app.use(require('metlog/express').middleware({ client }));
  mount();
  if (forget !== undefined) {
    forgetting(app.router, forget);
  }
  const { url, close } = await listening(http.createServer(app));
  t.after(close);
  const requests = () => sender.messages.filter(({ fields }) => fields.name === 'http.server.request');
  for (const [index, path] of paths.entries()) {
    assert.equal((await ask(`${url}${path}`)).status, 200, path);
    await until(() => requests().length > index, 'the request is told');
  }
  return requests().map(({ fields }) => fields.route);
}

for (const express of EXPRESSES) {
  test(`express: mounts are named by their templates, whatever is asked for (${express.kind})`, async (t) => {
    const routes = await routesOf(
      t,
      express,
      MOUNTS.map(({ path }) => path),
    );
    const expected = MOUNTS.map((mount) => (express.kind in mount ? mount[express.kind] : mount.route));
    assert.deepEqual(routes, expected);
  });

  test(`express: clients make up no routes (${express.kind})`, async (t) => {
    const numbers = Array.from({ length: 20 }, (_, index) => index);
    const paths = ['/v', '/t-'].flatMap((start) => numbers.map((number) => `${start}${number}/x`));
    const routes = new Set(await routesOf(t, express, paths));
    assert.ok(routes.size <= 10, [...routes].join());
  });
}

test('express: an application within another is named by where it is mounted', async (t) => {
  for (const version of ['express', 'express4']) {
    const framework = require(version);
    const { client, sender } = memoryClient();
    const [app, sub] = [framework(), framework()];
    app.use(require('metlog/express').middleware({ client }));
    sub.get('/y/:id', ANSWER);
    app.use(['/s1', '/s2'], sub);
    const { url, close } = await listening(http.createServer(app));
    t.after(close);
    await ask(`${url}/s2/y/6`);
    await until(() => metric(sender.messages, 'http.server.request'), 'the request is told');
    assert.equal(metric(sender.messages, 'http.server.request').fields.route, '/s1/y/:id', version);
  }
});

const WRONG_OPTIONS = [
  { client: 5 },
  { client: {} },
  { prefix: {} },
  { prefix: '' },
  { routeTimers: 'no' },
  { exceptions: 1 },
  { bind: null },
  { requestMessage: 7 },
  { ignoredPaths: '/health' },
  { ignoredPaths: [/health/] },
  { ignoredPaths: 5 },
];

for (const options of WRONG_OPTIONS) {
  const [[name]] = Object.entries(options);
  test(`an option that is wrong is an error that names it: ${JSON.stringify(options)}`, () => {
    const { wrap } = require('metlog/http');
    assert.throws(() => wrap(() => {}, options), {
      code: 'config',
      message: new RegExp(`^${name} is .*expected`),
    });
    assert.ok(wrap(() => {}, { [name]: undefined }));
  });
}

test('fastify: its own lines are messages at their severity, with what is bound', async (t) => {
  const { plugin, logger } = require('metlog/fastify');
  const { client, sender } = memoryClient();
  const app = require('fastify')({ loggerInstance: logger({ client, level: 'debug' }) });
  app.register(plugin, { client });
  app.get('/', async (request) => {
    request.log.warn({ disk: 91 }, 'disk is %d%% full', 91);
    request.log.trace('not wanted');
    request.log.error(new Error('broken'));
    return 'ok';
  });
  t.after(() => app.close());
  await ask(await app.listen({ port: 0, host: '127.0.0.1' }));
  await until(() => metric(sender.messages, 'http.server.status.200'), 'the request is told');
  const lines = sender.messages.filter(({ type }) => type === 'oldstyle');
  const warning = lines.find(({ severity }) => severity === 4);
  assert.equal(warning.payload, 'disk is 91% full');
  assert.deepEqual([warning.fields.disk, warning.fields.path], [91, '/']);
  assert.ok(warning.fields.reqId);
  const error = lines.find(({ severity }) => severity === 3);
  assert.deepEqual([error.payload, error.fields.err.type], ['broken', 'Error']);
  const incoming = lines.find(({ payload }) => payload === 'incoming request');
  assert.equal(incoming.fields.req.url, '/');
  assert.ok(!lines.some(({ payload }) => payload === 'not wanted'));
});
