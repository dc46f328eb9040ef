// An application in TypeScript: `tsc` reads it, nobody runs it.
import { createServer } from 'node:http';
import {
  type Binding,
  bind,
  captureUncaught,
  clientFromJsonConfig,
  configure,
  counter,
  type Filter,
  gauge,
  getClient,
  IsoDateString,
  type Message,
  MetlogClient,
  type Running,
  SEVERITY,
  type Stats,
  timer,
} from 'metlog';
import { AUTH_FAILURE, configPlugin as cefPlugin } from 'metlog/cef';
import { getGlobalConfig, resolveName } from 'metlog/config';
import {
  severityMaxProvider,
  typeBlacklistProvider,
  typeRateProvider,
  typeSeverityMaxProvider,
} from 'metlog/filters';
import { configPlugin as ravenPlugin } from 'metlog/raven';
import {
  memorySenderFactory,
  stdoutSenderFactory,
  udpSenderFactory,
  zmqPubSenderFactory,
  zmqPushSenderFactory,
} from 'metlog/senders';
import { jsonEncoder, msgpackEncoder } from 'metlog/senders/encoders';
import { captureLogs } from 'metlog/testing';

const quiet: Filter = (message) => message.severity < SEVERITY.DEBUG;
const filters = [
  quiet,
  severityMaxProvider({ severity: SEVERITY.WARNING }),
  typeBlacklistProvider({ types: new Set(['noise']) }),
  typeSeverityMaxProvider({ types: { services: { severity: 4 } } }),
  typeRateProvider({ types: { services: 0.5 } }),
];
const client = new MetlogClient(zmqPushSenderFactory(), 'app', SEVERITY.NOTICE, ['slow'], filters);
client.filters.push(quiet);
client.setup(zmqPubSenderFactory({ bindstrs: 'tcp://*:5585', queueLength: 1000 }));
client.setup(udpSenderFactory({ hosts: ['a', 'b'], ports: [5565] }));
client.metlog('services', { fields: { userid: 25 }, timestamp: new Date(), severity: 3 });
client.incr('n', { count: 2, rate: 0.5 }, 0.5);
client.gauge('depth', 3);
client.error(new Error('x'), null);

const add = client.timer((a: number, b: number) => a + b, 'add');
const three: number = add(1, 2);
const later: Promise<string> = client.timer(async (text: string) => text, 'later')(String(three));

const product = {
  'cef.version': 0,
  'cef.vendor': 'v',
  'cef.product': 'p',
  'cef.device_version': '1',
} as const;
createServer((request) => {
  const line: string = client.cef(AUTH_FAILURE, 5, request, product, {
    username: 'jane',
    extras: { try: 3 },
  });
  client.cef(line, 'High', null, product);
});
client.addMethod('cef', cefPlugin({ syslog_facility: 'LOCAL4' }));
client.addMethod('raven', ravenPlugin({ dsn: 'https://u:p@h/1' }), true);
client.sendException('any value', { msg: 'while saving', extra: { attempt: 2 }, fields: { userid: 25 } });
const stop: () => void = captureUncaught(client);

const requests = counter('requests');
requests.incr();
requests.incr(2n);
gauge('depth').set(3);
timer('query').record(5);
const modern: MetlogClient = configure('metlog.toml', {
  logger: 'app',
  aggregate: true,
  queueBytes: '16MiB',
  statsInterval: 0,
  disabledTimers: new Set(['slow']),
  sender: { class: 'udp', host: 'a', port: [5565] },
  filters: { typeSeverityMax: { services: 4 } },
});
configure({ sender: memorySenderFactory(), filters });
configure(process.env.SHOP_CONFIG, { logger: 'shop' });
modern.hostname = `web-${modern.pid}`;
getClient().aggregates.gauge('depth').add(-1);
const running: Running = modern.timer('slow').start();
const elapsed: number = running.stop();
{
  using _timed = modern.aggregates.timer('block').start();
  using _bound = modern.bind({ user: 7 });
}
const sum: number = bind({ request: 'r1' }, (a: number, b: number) => a + b, 1, elapsed);
const binding: Binding = bind({ user: sum });
binding.end();
async function* rows(): AsyncGenerator<number> {
  yield 1;
}
const timedRows: () => AsyncGenerator<number> = modern.timer(rows, 'rows');
const sent: Message[] = captureLogs(() => requests.incr());
const sentLater: Promise<Message[]> = captureLogs(async () => modern.info('x'));
const encoded: [string, Uint8Array][] = sent.map((message) => [
  jsonEncoder(message),
  msgpackEncoder(message),
]);
stdoutSenderFactory({ encoder: msgpackEncoder });

const memory = memorySenderFactory();
const seen: Message[] = memory.messages;
const own = new MetlogClient({ sendMessage: (message) => seen.push(message) });
const stats: Stats = own.stats();
const configured: MetlogClient = clientFromJsonConfig({
  sender: { factory: 'metlog/senders:stdoutSenderFactory' },
});
void [
  stop,
  stats.refused.full,
  IsoDateString(new Date()),
  getGlobalConfig(),
  resolveName('a:b'),
  configured,
  later,
  timedRows,
  sentLater,
  encoded,
];

// @ts-expect-error a name is a text
client.incr(7);
// @ts-expect-error the line needs the whole product
client.cef(AUTH_FAILURE, 5, null, { 'cef.version': 0 });
// @ts-expect-error a link has no usual endpoint
zmqPushSenderFactory({ delivery: 'acked' });
// @ts-expect-error a datagram needs a port
udpSenderFactory({ hosts: 'a' });
// @ts-expect-error a time has a unit
configure({ batchAge: 10 });
// @ts-expect-error no such setting
configure({ queueByte: 1 });
