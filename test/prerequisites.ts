// Run by `npm test` before the tests: sees to it that the programs are there that the end-to-end tests start. On Debian
// and its kin, as root, it installs what is missing; anywhere else it says what to install and ends with status 1. Says
// nothing if nothing is missing. Never starts a service, and never removes a package.

import { spawnSync } from 'node:child_process';
import { delimiter } from 'node:path';
import { directories, installPackages, isDebian, isInstalled } from './debian-packages.ts';

/** Debian packages, and the programs that the tests need of each. */
const packages: Readonly<Record<string, readonly string[]>> = {
  postfix: ['postfix', 'postconf', 'postmap', 'postqueue'],
  openssl: ['openssl'],
  'util-linux': ['flock', 'unshare', 'nsenter', 'prlimit'],
  bsdutils: ['script'],
  mount: ['mount'],
  'redis-server': ['redis-server'],
  'redis-tools': ['redis-cli'],
  'redis-sentinel': ['redis-sentinel'],
  strace: ['strace'],
  zsh: ['zsh'],
  prometheus: ['promtool'],
  'groff-base': ['groff'],
  systemd: ['systemd-analyze', 'systemd-socket-activate', 'systemd-notify'],
};

/** Table types of Postfix, and the packages that bring them. */
const tableTypes: Readonly<Record<string, string>> = { lmdb: 'postfix-lmdb', cdb: 'postfix-cdb' };

/** The packages that are missing. */
function missing(): readonly string[] {
  const lacking = Object.entries(packages).flatMap(([name, programs]) => (programs.every(isInstalled) ? [] : [name]));
  const known = lacking.includes('postfix')
    ? []
    : (spawnSync('postconf', ['-m'], {
        encoding: 'utf8',
        env: { ...process.env, PATH: directories.join(delimiter) },
      }).stdout?.split('\n') ?? []);
  return [...lacking, ...Object.entries(tableTypes).flatMap(([type, name]) => (known.includes(type) ? [] : [name]))];
}

function prepare(): string | undefined {
  const names = missing();
  const command = `apt-get install ${names.join(' ')}`;
  if (names.length > 0 && !(isDebian() && process.getuid?.() === 0)) {
    const kin = isDebian() ? 'Install them, as root, by' : 'These are names of Debian packages; on Debian it would be';
    return `The tests need programs that are missing here. ${kin}:\n\n  ${command}\n`;
  }
  if (names.length > 0) {
    const trouble = installPackages(names);
    if (trouble !== undefined) {
      return `The tests need ${names.join(', ')}, which could not be installed by: ${command}\n${trouble}`;
    }
    const still = missing();
    if (still.length > 0) {
      return `${still.join(', ')}: installed, but what the tests need of it is still missing.`;
    }
  }
  if (process.getuid?.() !== 0) {
    return 'The tests start Postfix, which takes root: run them as root.';
  }
  const namespace = spawnSync('unshare', ['--mount', 'true'], { encoding: 'utf8' });
  return namespace.status === 0
    ? undefined
    : `The tests need mount namespaces (in a container: the capability SYS_ADMIN).\n${namespace.stderr}`;
}

const trouble = prepare();
if (trouble !== undefined) {
  console.error(trouble);
  process.exitCode = 1;
}
