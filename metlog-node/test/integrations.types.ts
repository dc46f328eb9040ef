// The types of the integrations, as an application uses them: only compiled.
import { createServer } from 'node:http';
import { MetlogClient } from 'metlog';
import { subscribe } from 'metlog/diagnostics';
import { errorHandler, middleware, type RequestOptions } from 'metlog/express';

import fastify = require('metlog/fastify');

import { wrap } from 'metlog/http';
import { middleware as koa } from 'metlog/koa';

import pino = require('metlog/pino');

import { MetlogTransport } from 'metlog/winston';

const client = new MetlogClient();
const options: RequestOptions = { client, prefix: 'web', ignoredPaths: new Set(['/health']), bind: false };

const unsubscribe: () => void = subscribe(options);
createServer(wrap((_request, response) => response.end('ok'), options));
const logger: fastify.Logger = fastify.logger({ client, level: 'debug' });
logger.child({ request: 7 }).info({ disk: 91 }, 'disk is full');

void [unsubscribe, middleware(options), errorHandler(), koa(), fastify.plugin, fastify, pino({ client })];
void [pino.transport({ sender: { class: 'file', filepath: 'a' } }), new MetlogTransport({ level: 'warn' })];

// @ts-expect-error no such option
middleware({ prefx: 'web' });
// @ts-expect-error one path is no list of paths, though it can be walked through
koa({ ignoredPaths: 7 });
