// Debian packages: whether a program is there, and how to get the package that brings it, without starting what comes with
// it. Never removes a package, and decides for nobody whether one is wanted.

import { spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where programs are looked for. */
export const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

export function isInstalled(program: string): boolean {
  return directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function isDebian(): boolean {
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

/** Runs apt-get; gives what it wrote if it failed. */
function aptGet(...args: readonly string[]): string | undefined {
  const result = spawnSync('apt-get', ['-qq', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return result.status === 0
    ? undefined
    : `apt-get ${args.join(' ')} failed:\n${result.error?.message ?? ''}${result.stdout}${result.stderr}`;
}

/** Installs packages without starting what they bring; gives what went wrong, if anything. */
export function installPackages(names: readonly string[]): string | undefined {
  // Debian's way to say that no service may be started: invoke-rc.d asks this program, and 101 means no.
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) {
    writeFileSync(policy, '#!/bin/sh\nexit 101\n');
    chmodSync(policy, 0o755);
  }
  try {
    return aptGet('update') ?? aptGet('install', '--yes', '--no-install-recommends', ...names);
  } finally {
    if (ours) {
      rmSync(policy);
    }
  }
}

/** Gets packages, and those that they need, into a folder, without installing them; gives what went wrong, if anything. */
export function downloadPackages(names: readonly string[], directory: string): string | undefined {
  mkdirSync(join(directory, 'partial'), { recursive: true });
  const archives = `Dir::Cache::archives=${directory}`;
  return aptGet('update') ?? aptGet('install', '--yes', '--download-only', '--option', archives, ...names);
}
