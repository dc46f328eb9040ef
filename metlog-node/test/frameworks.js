// The frameworks of `frameworks.test.js`: one application, written for each of them.
//
// GET /items/:id answers 200 and says `seen`; /fail throws; /slow never ends; /missing is 404; /refuse is refused with 403;
// /busy/:id throws an error that says 503; /leave binds something; /cef sends a security event; POST /body answers once the body is read; /health is left out.
'use strict';

const http = require('node:http');

const CEF = {
  'cef.version': '0',
  'cef.vendor': 'mozilla',
  'cef.product': 'weave',
  'cef.device_version': '1.4',
};

class Refused extends Error {
  status = 403;
  statusCode = 403;
}

class Busy extends Error {
  status = 503;
  statusCode = 503;
}

/** What a framework makes of an exception that nobody catches, said once more by the test's server of plain `http`. */
const FAILURE = new TypeError('no item');

/** Starts a server and gives back its address and how to end it. */
function listening(server) {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const close = () => {
        server.closeAllConnections();
        return new Promise((done) => server.close(done));
      };
      resolve({ url: `http://127.0.0.1:${server.address().port}`, close });
    });
  });
}

/** What every framework's route does once it has the request. */
function seen(client) {
  client.info('seen');
}

/** Binds before anything has been waited for: in the context of whoever has called. */
function leave(client) {
  client.bind({ leftover: true });
  return 'ok';
}

function express(version) {
  return async (client, options) => {
    const framework = require(version);
    const { middleware, errorHandler } = require('metlog/express');
    const app = framework();
    const router = framework.Router();
    app.use(middleware(options));
    router.get('/:id', async (_request, response) => {
      await null;
      seen(client);
      response.send('ok');
    });
    app.use('/items', router);
    app.get('/fail', () => {
      throw FAILURE;
    });
    app.get('/busy/:id', (_request, _response, next) => next(new Busy('later')));
    app.get('/slow', () => {});
    app.get('/refuse', (_request, _response, next) => next(new Refused('no')));
    app.get('/cef', (_request, response) => {
      setImmediate(() => response.send(client.cef('Probe', 5, undefined, CEF)));
    });
    app.post('/body', framework.json(), (_request, response) => {
      seen(client);
      response.send('ok');
    });
    app.get('/leave', (_request, response) => response.send(leave(client)));
    app.get('/health', (_request, response) => response.send('ok'));
    app.use(errorHandler());
    // Instead of a stack on standard error.
    app.use((error, _request, response, _next) => response.status(error.status ?? 500).send(error.message));
    return listening(http.createServer(app));
  };
}

async function fastify(client, options) {
  const { plugin, logger } = require('metlog/fastify');
  const app = require('fastify')({
    loggerInstance: logger({ client, level: 'silent' }),
    forceCloseConnections: true,
  });
  app.register(plugin, options);
  app.register(
    async (inner) => {
      inner.get('/:id', async () => {
        await null;
        seen(client);
        return 'ok';
      });
    },
    { prefix: '/items' },
  );
  app.get('/fail', async () => {
    throw FAILURE;
  });
  app.get('/busy/:id', async () => {
    throw new Busy('later');
  });
  app.get('/slow', () => new Promise(() => {}));
  app.get('/refuse', async () => {
    throw new Refused('no');
  });
  app.get('/cef', async () => client.cef('Probe', 5, undefined, CEF));
  app.post('/body', async () => {
    seen(client);
    return 'ok';
  });
  app.get('/leave', (_request, reply) => reply.send(leave(client)));
  app.get('/health', async () => 'ok');
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return { url, close: () => app.close() };
}

async function koa(client, options) {
  const Koa = require('koa');
  const { middleware } = require('metlog/koa');
  const app = new Koa();
  app.silent = true;
  app.use(middleware(options));
  app.use(async (context) => {
    const { path } = context;
    if (path.startsWith('/items/')) {
      context._matchedRoute = '/items/:id';
      await null;
      seen(client);
      context.body = 'ok';
    } else if (path === '/fail') {
      throw FAILURE;
    } else if (path.startsWith('/busy/')) {
      context._matchedRoute = '/busy/:id';
      throw new Busy('later');
    } else if (path === '/slow') {
      await new Promise(() => {});
    } else if (path === '/refuse') {
      throw new Refused('no');
    } else if (path === '/cef') {
      context.body = client.cef('Probe', 5, undefined, CEF);
    } else if (path === '/body') {
      await read(context.req);
      seen(client);
      context.body = 'ok';
    } else if (path === '/leave') {
      context.body = leave(client);
    } else if (path === '/health') {
      context.body = 'ok';
    }
  });
  return listening(http.createServer(app.callback()));
}

function read(request) {
  return new Promise((resolve) => request.on('data', () => {}).on('end', resolve));
}

/** A listener of plain `http`. Its exceptions would end the process, so it answers for them itself. */
function listener(client) {
  return async (request, response) => {
    const path = request.url.split('?', 1)[0];
    if (path === '/slow') {
      return;
    }
    if (path === '/leave') {
      leave(client);
    }
    if (path.startsWith('/items/') || path === '/body') {
      await read(request);
      seen(client);
    }
    const status = { '/missing': 404, '/refuse': 403, '/fail': 500 }[path] ?? 200;
    response.statusCode = status;
    response.end(path === '/cef' ? client.cef('Probe', 5, undefined, CEF) : 'ok');
  };
}

async function plain(client, options) {
  const { wrap } = require('metlog/http');
  return listening(http.createServer(wrap(listener(client), options)));
}

async function diagnostics(client, options) {
  const { subscribe } = require('metlog/diagnostics');
  const unsubscribe = subscribe(options);
  const server = await listening(http.createServer(listener(client)));
  const close = () => {
    unsubscribe();
    return server.close();
  };
  return { ...server, close };
}

/** Each with what it knows: of routes, and of exceptions. */
const FRAMEWORKS = [
  { name: 'express 5', serve: express('express'), routes: true, exceptions: true },
  { name: 'express 4', serve: express('express4'), routes: true, exceptions: true },
  { name: 'fastify', serve: fastify, routes: true, exceptions: true },
  { name: 'koa', serve: koa, routes: true, exceptions: true },
  { name: 'http', serve: plain, routes: false, exceptions: false },
  { name: 'diagnostics_channel', serve: diagnostics, routes: false, exceptions: false },
];

module.exports = { FRAMEWORKS, listening };
