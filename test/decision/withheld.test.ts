// Mail of which nobody knows what is asked gets no reply, however its addresses are written.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_ADDRESS_RULES } from '../../src/address/address.ts';
import type { DomainName } from '../../src/address/domain-name.ts';
import { type DecisionContext, isWithheld } from '../../src/decision/decide.ts';
import { NO_TABLES } from '../../src/decision/delivery.ts';
import { Lanes } from '../../src/decision/lanes.ts';
import { NO_DEFAULTS, parseHostedDomain } from '../../src/settings/hosted-domain.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import { SettingsOwner } from '../../src/settings/settings-owner.ts';
import { rcpt } from './request.ts';

/** Hosts hosted.example and, with settings that cannot be used, broken.example. */
function context(withheld: readonly string[] = ['broken.example']): DecisionContext {
  const owner = new SettingsOwner(BY_MX);
  const place = { defaults: NO_DEFAULTS, hasRelayhost: false, pool: new SettingPool() };
  const hosted = parseHostedDomain('hosted.example', {}, 'a.toml', place, []);
  assert.ok(hosted !== undefined);
  owner.add(hosted);
  owner.withhold(new Set(withheld as readonly DomainName[]));
  const { settings } = owner;
  return {
    settings,
    generation: 1,
    addresses: DEFAULT_ADDRESS_RULES,
    tables: NO_TABLES,
    lanes: new Lanes(0),
    isExempt: () => false,
  };
}

/** gateway.test is this host; Postfix takes all of these for payroll@broken.example. */
const SPELLINGS = [
  'payroll@broken.example',
  'PayRoll+june@BROKEN.Example.',
  '@relay.example,@other.example:payroll@broken.example',
  'payroll%broken.example',
  'payroll%broken.example@gateway.test',
  'payroll%BROKEN.example.@gateway.test.',
  'broken.example!payroll',
  'broken.example!payroll@gateway.test',
  'payroll@broken.example@gateway.test',
  'payroll%broken.example%gateway.test@gateway.test',
  'payroll%hosted.example%broken.example@gateway.test',
  'payroll%hosted.example@broken.example',
  '!payroll%broken.example',
  '!broken.example!payroll',
];

test('mail to and from a domain whose settings cannot be used has none, whichever way it is routed', () => {
  for (const spelling of SPELLINGS) {
    assert.equal(isWithheld(context(), rcpt('', spelling, 'a@partner.example')), true, spelling);
    assert.equal(isWithheld(context(), rcpt('', 'a@partner.example', spelling)), true, spelling);
  }
});

test('other mail has one, also while there are such domains', () => {
  for (const other of [
    'a@hosted.example',
    'a%hosted.example@gateway.test',
    'a%b%c@partner.example',
    '',
    'postmaster',
  ]) {
    assert.equal(isWithheld(context(), rcpt('', other, 'b@partner.example')), false, other);
    assert.equal(isWithheld(context(), rcpt('', 'b@partner.example', other)), false, other);
  }
});

test('a recipient is followed however often it is routed, and has one unless it leads to such a domain', () => {
  const nested = (last: string): string => `payroll%${last}${'%gateway.test'.repeat(900)}@gateway.test`;
  assert.equal(isWithheld(context(), rcpt('', nested('elsewhere.example'), '')), false);
  assert.equal(isWithheld(context(), rcpt('', nested('hosted.example'), '')), false);
  assert.equal(isWithheld(context(), rcpt('', nested('broken.example'), '')), true);
  // Where the domain's mailboxes are Postfix's own it routes this too.
  assert.equal(isWithheld(context(), rcpt('', 'payroll%broken.example@hosted.example', '')), true);
});
