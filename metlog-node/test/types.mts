// The same application as a module: `tsc` reads it, nobody runs it.
import metlog, { configure, type MetlogClient, SEVERITY } from 'metlog';
import { severityMaxProvider } from 'metlog/filters';
import { captureLogs } from 'metlog/testing';

const client: MetlogClient = configure({ filters: [severityMaxProvider({ severity: SEVERITY.NOTICE })] });
const same: typeof configure = metlog.configure;
const messages = await captureLogs(async () => client.info('hello'));
void [same, messages.length];
