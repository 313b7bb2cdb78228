import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Edits } from '../../src/apply/edits.ts';
import { keepLinesOfMain, keepLinesOfMaster } from '../../src/apply/keep-lines.ts';
import { logicalLines, wordsOf } from '../../src/apply/logical-lines.ts';

function main(text: string, parameter: string, to: string): string {
  const edits: Edits = { parameters: [{ parameter, from: undefined, to, reason: '' }], services: [], overrides: [] };
  return keepLinesOfMain(text, edits);
}

function master(text: string, service: string, parameter: string, to: string): string {
  const edits: Edits = { parameters: [], services: [], overrides: [{ service, parameter, from: '', to, reason: '' }] };
  return keepLinesOfMaster(text, edits);
}

const before = `# the first line
smtpd_recipient_restrictions =
    # strangers first
    reject_unauth_destination,

# a comment at the margin
    check_client_access hash:/etc/postfix/clients
    permit
# what follows
other = x
`;

test('what is added stands on lines of its own, and comments and line breaks stay', () => {
  const to =
    'reject_unauth_destination, check_policy_service { inet:1:2, { timeout = 1s } }, check_client_access hash:/etc/postfix/clients, permit';
  const after = main(before, 'smtpd_recipient_restrictions', to);
  assert.equal(
    after,
    before.replace(
      '    check_client_access',
      '    check_policy_service { inet:1:2, { timeout = 1s } },\n    check_client_access',
    ),
  );
  assert.equal(main(after, 'smtpd_recipient_restrictions', to), after);
  const without = 'reject_unauth_destination, check_client_access hash:/etc/postfix/clients, permit';
  assert.equal(main(after, 'smtpd_recipient_restrictions', without), before);
  assert.equal(
    main(before, 'smtpd_recipient_restrictions', `${without}, last`),
    before.replace('permit\n', 'permit,\n    last\n'),
  );
});

test('a list that begins behind its name takes what comes first there', () => {
  const text = 'transport_maps = $others,\n\thash:/a\n';
  const to = 'lmdb:/t, $others, hash:/a';
  const after = main(text, 'transport_maps', to);
  assert.equal(after, 'transport_maps = lmdb:/t,\n\t$others,\n\thash:/a\n');
  assert.equal(main(after, 'transport_maps', '$others, hash:/a'), text);
});

test('what stands on one line, twice, or of which nothing stays is left to postconf', () => {
  for (const text of ['a = b, c\n', 'a =\n  b\n  c\na =\n  b\n', 'a =\n  x\n'])
    assert.equal(main(text, 'a', 'b, d'), text);
});

test('an option of a service is changed where it stands', () => {
  const text = `smtp inet n - n - - smtpd
submission inet n - n - - smtpd
  -o syslog_name=postfix/submission
  # who may
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o { smtpd_data_restrictions = a, b }
# the end
`;
  const once = master(text, 'submission/inet', 'smtpd_recipient_restrictions', 'x { y }, reject');
  assert.equal(
    once,
    text.replace(
      'smtpd_recipient_restrictions=permit_sasl_authenticated,reject',
      '{ smtpd_recipient_restrictions = x { y }, reject }',
    ),
  );
  assert.equal(
    master(once, 'submission/inet', 'smtpd_data_restrictions', 'a'),
    once.replace('{ smtpd_data_restrictions = a, b }', 'smtpd_data_restrictions=a'),
  );
  assert.equal(master(text, 'smtp/inet', 'smtpd_data_restrictions', 'a'), text);
});

test('whatever the lines are, Postfix reads the list that was asked for, and every other line stays', () => {
  const element = fc.constantFrom(
    'permit',
    '$x',
    'hash:/a',
    'check_client_access hash:/b',
    '{ a, { b = c } }',
    'reject',
  );
  const gap = fc.constantFrom(
    ' ',
    ', ',
    ',\n  ',
    '\n\t',
    ',\n# comment\n  ',
    '\n\n  # comment, with commas\n  ',
    ' ,\n    ',
  );
  const list = fc.array(fc.tuple(element, gap), { maxLength: 6 });
  fc.assert(
    fc.property(list, gap, fc.uniqueArray(element, { maxLength: 5 }), (from, first, wanted) => {
      const value = from.map(([one, after], i) => one + (i < from.length - 1 ? after : '')).join('');
      const text = `# top\nbefore = 1\nlist =${first.replace(',', '')}${value}\nafter = 2\n# bottom\n`;
      const to = wanted.join(', ');
      const changed = main(text, 'list', to);
      assert.equal(changed.startsWith('# top\nbefore = 1\nlist ='), true);
      assert.equal(changed.endsWith('\nafter = 2\n# bottom\n'), true);
      const comments = (of: string): string[] => of.split('\n').filter((line) => line.trim().startsWith('#'));
      assert.deepEqual(comments(changed), comments(text));
      if (changed === text) return;
      const line = logicalLines(changed).find(({ start }) => changed.startsWith('list', start));
      assert.ok(line);
      const words = wordsOf(changed, line, line.start + 'list ='.length, (character) => /[\s,]/u.test(character));
      assert.equal(words.map((word) => word.text).join(' '), wanted.join(' '));
    }),
    { numRuns: 2000 },
  );
});
