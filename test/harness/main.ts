// The built program, beside the tests that run: what they give to Node.

import { fileURLToPath } from 'node:url';

/** dist/src/main.js */
export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
