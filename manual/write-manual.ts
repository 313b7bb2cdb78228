/**
 * Part of `npm run build`: writes the manual into the folder that is named. Pages without a README or with Markdown that is
 * not known here are an error, and none is written then.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeProgram } from '../src/program.ts';
import { makePages } from './pages.ts';
import { formatPage } from './roff.ts';

const [directory = '.'] = process.argv.slice(2);
const repository = new URL('../../', import.meta.url);
const { description } = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8'));
const pages = makePages(readFileSync(new URL('README.md', repository), 'utf8'), makeProgram(false), description);
mkdirSync(directory, { recursive: true });
for (const page of pages) writeFileSync(join(directory, `${page.name}.${page.section}`), formatPage(page));
