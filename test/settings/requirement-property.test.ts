/**
 * People and isRequired against a slow and obvious statement of the contract's section 3, written without a look at them.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_ADDRESS_RULES } from '../../src/address/address.ts';
import { findParties, requirement } from '../../src/decision/parties.ts';
import { formatRecord } from '../../src/settings/domain-record.ts';
import { compile } from './compile-settings.ts';

const OWN_NAMES = ['example.com', 'example.net', 'sub.example.net'];
const LOCALS = ['a', 'b', 'a+x', 'A', 'a-x', 'b+x+y', '+x', 'x'];
const FAR_DOMAINS = [
  'far.example',
  'sub.far.example',
  'deep.sub.far.example',
  'FAR.example.',
  'xn--bcher-kva.example',
  'bücher.example',
];

const local = fc.constantFrom(...LOCALS);
const ownAddress = fc
  .tuple(local, fc.constantFrom(...OWN_NAMES, 'EXAMPLE.com', 'example.net.'))
  .map((p) => p.join('@'));
const farAddress = fc.oneof(
  { weight: 9, arbitrary: fc.tuple(local, fc.constantFrom(...FAR_DOMAINS)).map((parts) => parts.join('@')) },
  { weight: 1, arbitrary: fc.constant('') },
);
const ownEntry = fc.oneof(
  local,
  ownAddress,
  fc.constantFrom('*@example.com', '@example.net', '*@*.example.net', '<>', '*@sub.example.net.', '@*.net'),
  { weight: 0, arbitrary: fc.constant('*') },
);
const farEntry = fc.oneof(
  fc.tuple(local, fc.constantFrom(...FAR_DOMAINS)).map((parts) => parts.join('@')),
  fc.constantFrom(...FAR_DOMAINS),
  fc.constantFrom(...FAR_DOMAINS).map((domain) => `*@${domain}`),
  fc.constantFrom(...FAR_DOMAINS).map((domain) => `@*.${domain}`),
  fc.constantFrom('*@*.example', '<>', '*@*.xn--bcher-kva.example'),
);

function slowDomain(text: string): string {
  const name = text.toLowerCase().replace(/\.$/u, '');
  return name === 'bücher.example' ? 'xn--bcher-kva.example' : name;
}

function slowForms(address: string, delimiters: string): readonly { local: string; domain: string }[] {
  const [local = '', domain = ''] = address.split('@');
  const forms = [local.toLowerCase()];
  const cut = [...local].findIndex((char) => delimiters.includes(char));
  if (cut > 0) forms.push(local.slice(0, cut).toLowerCase());
  return forms.map((form) => ({ local: form, domain: slowDomain(domain) }));
}

/** "Both take `*@domain` (or `@domain`), `*@*.domain`, `*` and `<>`", and so on: one entry, one address. */
function slowMatches(entry: string, address: string, side: 'own' | 'far', delimiters: string): boolean {
  if (entry === '*') return true;
  if (entry === '<>') return address === '';
  if (address === '') return false;
  return slowForms(address, delimiters).some(({ local, domain }) => {
    if (!entry.includes('@')) return side === 'own' ? entry.toLowerCase() === local : slowDomain(entry) === domain;
    const [left = '', right = ''] = entry.split('@');
    if (left !== '' && left !== '*') {
      const isDomain = side === 'own' ? OWN_NAMES.includes(slowDomain(right)) : slowDomain(right) === domain;
      return isDomain && left.toLowerCase() === local;
    }
    return right.startsWith('*.') ? domain.endsWith(slowDomain(right.slice(1))) : domain === slowDomain(right);
  });
}

function slowRequired(
  setting: { own: readonly string[]; far: readonly string[]; when: string | undefined },
  own: string,
  far: string,
  delimiters: string,
): boolean {
  const ownListed = setting.own.some((entry) => slowMatches(entry, own, 'own', delimiters));
  const farListed = setting.far.some((entry) => slowMatches(entry, far, 'far', delimiters));
  if (setting.when !== 'both') return ownListed || farListed;
  return (ownListed || setting.own.length === 0) && (farListed || setting.far.length === 0);
}

it('whether TLS is required is what the contract says, for any lists and any two addresses', () => {
  const scenario = fc.record({
    flow: fc.constantFrom('incoming' as const, 'outgoing' as const),
    own: fc.array(fc.oneof({ weight: 12, arbitrary: ownEntry }, { weight: 1, arbitrary: fc.constant('*') }), {
      maxLength: 4,
    }),
    far: fc.array(fc.oneof({ weight: 12, arbitrary: farEntry }, { weight: 1, arbitrary: fc.constant('*') }), {
      maxLength: 4,
    }),
    when: fc.constantFrom(undefined, 'either', 'both'),
    asString: fc.boolean(),
    delimiters: fc.constantFrom('+', '+-', ''),
    pairs: fc.array(fc.tuple(ownAddress, farAddress), { minLength: 1, maxLength: 10 }),
  });
  fc.assert(
    fc.property(scenario, ({ flow, own, far, when, asString, delimiters, pairs }) => {
      fc.pre(own.length + far.length > 0);
      const list = (entries: readonly string[]) => (asString ? entries.join(',\n ') : entries);
      const [senders, recipients] = flow === 'incoming' ? [far, own] : [own, far];
      const receipt = {
        require_tls: 'specific',
        senders: list(senders),
        recipients: list(recipients),
        ...(when === undefined ? {} : { when }),
      };
      const settings = compile(formatRecord('example.com', { aliases: OWN_NAMES.slice(1), [flow]: { receipt } }));
      for (const [ownSide, farSide] of pairs) {
        const [sender, recipient] = flow === 'incoming' ? [farSide, ownSide] : [ownSide, farSide];
        const parties = findParties(settings, sender, recipient, {
          ...DEFAULT_ADDRESS_RULES,
          recipientDelimiter: delimiters,
        });
        const actual = requirement(parties, flow, 'receipt') !== undefined;
        assert.equal(actual, slowRequired({ own, far, when }, ownSide, farSide, delimiters), `${ownSide} ${farSide}`);
      }
    }),
    { numRuns: 1500 },
  );
});
