import metlog = require('./index.js');

export * from './index.js';
export default metlog;
