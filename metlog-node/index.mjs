// The same for `import`: there is one implementation, and so one default client.
import metlog from './index.js';

export const {
  MetlogClient,
  bind,
  captureUncaught,
  clientFromJsonConfig,
  configure,
  counter,
  gauge,
  getClient,
  timer,
  SEVERITY,
  IsoDateString,
} = metlog;

export default metlog;
