// The numbers of system users and groups, for folders that Postfix wants to belong to its own.

import { readFileSync } from 'node:fs';

/** The number of a user, as in /etc/passwd. */
export function userId(name: string): number {
  return numberOf('/etc/passwd', name);
}

/** The number of a group, as in /etc/group. */
export function groupId(name: string): number {
  return numberOf('/etc/group', name);
}

function numberOf(file: string, name: string): number {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const fields = line.split(':');
    if (fields[0] === name) {
      return Number(fields[2]);
    }
  }
  throw new Error(`${file} knows no ${name}: is Postfix installed?`);
}
