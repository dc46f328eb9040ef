// An application in TypeScript: `tsc` reads it, nobody runs it.
import {
  clientFromJsonConfig,
  type Filter,
  IsoDateString,
  type Message,
  MetlogClient,
  SEVERITY,
  type Stats,
} from 'metlog';
import { getGlobalConfig, resolveName } from 'metlog/config';
import { severityMaxProvider, typeBlacklistProvider, typeSeverityMaxProvider } from 'metlog/filters';
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

const memory = memorySenderFactory();
const seen: Message[] = memory.messages;
const own = new MetlogClient({ sendMessage: (message) => seen.push(message) });
const stats: Stats = own.stats();
const configured: MetlogClient = clientFromJsonConfig({
  sender: { factory: 'metlog/senders:stdoutSenderFactory' },
});
void [
  stats.refused.full,
  IsoDateString(new Date()),
  getGlobalConfig(),
  resolveName('a:b'),
  configured,
  later,
];

// @ts-expect-error a name is a text
client.incr(7);
// @ts-expect-error a datagram needs a port
udpSenderFactory({ hosts: 'a' });
