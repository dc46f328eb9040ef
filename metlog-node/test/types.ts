// An application in TypeScript: `tsc` reads it, nobody runs it.
import { createServer } from 'node:http';
import {
  captureUncaught,
  clientFromJsonConfig,
  type Filter,
  IsoDateString,
  type Message,
  MetlogClient,
  SEVERITY,
  type Stats,
} from 'metlog';
import { AUTH_FAILURE, configPlugin as cefPlugin } from 'metlog/cef';
import { getGlobalConfig, resolveName } from 'metlog/config';
import { severityMaxProvider, typeBlacklistProvider, typeSeverityMaxProvider } from 'metlog/filters';
import { configPlugin as ravenPlugin } from 'metlog/raven';
import { memorySenderFactory, udpSenderFactory, zmqPushSenderFactory } from 'metlog/senders';

const quiet: Filter = (message) => message.severity < SEVERITY.DEBUG;
const filters = [
  quiet,
  severityMaxProvider({ severity: SEVERITY.WARNING }),
  typeBlacklistProvider({ types: new Set(['noise']) }),
  typeSeverityMaxProvider({ types: { services: { severity: 4 } } }),
];
const client = new MetlogClient(zmqPushSenderFactory(), 'app', SEVERITY.NOTICE, ['slow'], filters);
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
];

// @ts-expect-error a name is a text
client.incr(7);
// @ts-expect-error the line needs the whole product
client.cef(AUTH_FAILURE, 5, null, { 'cef.version': 0 });
// @ts-expect-error a link has no usual endpoint
zmqPushSenderFactory({ delivery: 'acked' });
// @ts-expect-error a datagram needs a port
udpSenderFactory({ hosts: 'a' });
