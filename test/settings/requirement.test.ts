import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DEFAULT_ADDRESS_RULES } from '../../src/address/address.ts';
import { findParties, requirement } from '../../src/decision/parties.ts';
import { compile } from './compile-settings.ts';

/** Whether a setting of example.com, alias example.net, asks for TLS between these two. */
function asks(flow: 'incoming' | 'outgoing', setting: string, own: string, far: string, delimiters = '+'): boolean {
  const settings = compile(
    `[domains."example.com"]\naliases = ["example.net", "sub.example.net"]\n[domains."example.com".${flow}.receipt]\n${setting}`,
  );
  const [sender, recipient] = flow === 'incoming' ? [far, own] : [own, far];
  return (
    requirement(
      findParties(settings, sender, recipient, { ...DEFAULT_ADDRESS_RULES, recipientDelimiter: delimiters }),
      flow,
      'receipt',
    ) !== undefined
  );
}

const FLOWS = [
  { flow: 'incoming', own: 'recipients', far: 'senders' },
  { flow: 'outgoing', own: 'senders', far: 'recipients' },
] as const;

for (const { flow, own, far } of FLOWS) {
  const ownList = (entry: string) => `require_tls = "specific"\n${own} = ${JSON.stringify([entry])}`;
  const farList = (entry: string) => `require_tls = "specific"\n${far} = ${JSON.stringify([entry])}`;
  const stranger = 'stranger@elsewhere.example';

  describe(`${own} of ${flow}, the domain's own side`, () => {
    const listed = (entry: string, address: string) => asks(flow, ownList(entry), address, stranger);

    it('takes a local part, which holds at the domain and all its aliases', () => {
      assert.equal(listed('payroll', 'payroll@example.com'), true);
      assert.equal(listed('PAYROLL', 'Payroll@EXAMPLE.net'), true);
      assert.equal(listed('payroll', 'payroll@sub.example.net'), true);
      assert.equal(listed('payroll', 'payrolls@example.com'), false);
    });

    it('takes an address of the domain or an alias, which holds for all of them', () => {
      assert.equal(listed('payroll@example.com', 'payroll@example.net'), true);
      assert.equal(listed('payroll@example.net', 'payroll@example.com'), true);
      assert.equal(listed('payroll@example.net', 'legal@example.com'), false);
    });

    it('takes *@domain and @domain, which hold for that name alone', () => {
      for (const entry of ['*@example.net', '@example.net', '*@EXAMPLE.net.']) {
        assert.equal(listed(entry, 'anyone@example.net'), true, entry);
        assert.equal(listed(entry, 'anyone@example.com'), false, entry);
        assert.equal(listed(entry, 'anyone@sub.example.net'), false, entry);
      }
    });

    it('takes *@*.domain, which holds for those of its names that are subdomains', () => {
      assert.equal(listed('*@*.example.net', 'anyone@sub.example.net'), true);
      assert.equal(listed('*@*.example.net', 'anyone@example.net'), false);
      assert.equal(listed('@*.example.net', 'anyone@sub.example.net'), true);
    });

    it('takes *, everyone', () => {
      assert.equal(listed('*', 'anyone@example.com'), true);
      assert.equal(listed('*', 'anyone@example.net'), true);
    });

    it('takes quoted local parts', () => {
      assert.equal(listed('"john doe"@example.com', 'john doe@example.com'), true);
      assert.equal(listed('"a@b"@example.com', 'a@b@example.com'), true);
      assert.equal(listed('"pay\\"roll"', 'pay"roll@example.com'), true);
    });

    it('matches an address with an extension by what its base matches', () => {
      assert.equal(listed('payroll', 'payroll+may@example.com'), true);
      assert.equal(listed('payroll+may', 'payroll+may@example.com'), true);
      assert.equal(listed('payroll+may', 'payroll@example.com'), false);
      assert.equal(asks(flow, ownList('payroll'), 'payroll-may@example.com', stranger, '+-'), true);
      assert.equal(asks(flow, ownList('payroll'), 'payroll+may@example.com', stranger, ''), false);
    });

    for (const name of ['__proto__', 'constructor', 'hasownproperty']) {
      it(`knows nobody called ${name} unless listed`, () => {
        assert.equal(listed('payroll', `${name}@example.com`), false);
        assert.equal(listed(name, `${name}@example.com`), true);
      });
    }
  });

  describe(`${far} of ${flow}, the far side`, () => {
    const listed = (entry: string, address: string) => asks(flow, farList(entry), 'someone@example.com', address);

    it('takes an address', () => {
      assert.equal(listed('ceo@partner.example', 'CEO@Partner.Example'), true);
      assert.equal(listed('ceo@partner.example', 'ceo@partner.example.'), true);
      assert.equal(listed('ceo@partner.example', 'ceo@other.example'), false);
      assert.equal(listed('ceo@partner.example', 'cfo@partner.example'), false);
    });

    it('takes *@domain, @domain and a bare domain, which mean the same', () => {
      for (const entry of ['*@bank.example', '@bank.example', 'bank.example', 'BANK.example.']) {
        assert.equal(listed(entry, 'a@bank.example'), true, entry);
        assert.equal(listed(entry, 'a@sub.bank.example'), false, entry);
        assert.equal(listed(entry, 'a@notbank.example'), false, entry);
      }
    });

    it('takes *@*.domain, which means subdomains only, however deep', () => {
      assert.equal(listed('*@*.bank.example', 'a@x.bank.example'), true);
      assert.equal(listed('*@*.bank.example', 'a@y.x.bank.example'), true);
      assert.equal(listed('*@*.bank.example', 'a@bank.example'), false);
      assert.equal(listed('*@*.bank.example', 'a@xbank.example'), false);
    });

    it('takes * and <>; the null sender is everyone too, but matches nothing else', () => {
      assert.equal(listed('*', stranger), true);
      assert.equal(listed('*', ''), true);
      assert.equal(listed('<>', ''), true);
      assert.equal(listed('<>', stranger), false);
      assert.equal(listed('bank.example', ''), false);
      assert.equal(listed('a@bank.example', ''), false);
      assert.equal(listed('*@*.bank.example', ''), false);
    });

    it('takes internationalised domains in either form', () => {
      assert.equal(listed('*@bücher.example', 'a@xn--bcher-kva.example'), true);
      assert.equal(listed('*@xn--bcher-kva.example', 'a@BÜCHER.example'), true);
      assert.equal(listed('*@*.bücher.example', 'a@x.xn--bcher-kva.example'), true);
    });

    it('matches an address with an extension by what its base matches', () => {
      assert.equal(listed('ceo@partner.example', 'ceo+news@partner.example'), true);
    });
  });

  describe(`when, of ${flow}`, () => {
    const both = `require_tls = "specific"\nwhen = "both"\n${own} = "payroll"\n${far} = "bank.example"`;

    it('is "either" unless said otherwise: one listed side is enough', () => {
      const either = both.replace('when = "both"\n', '');
      assert.equal(asks(flow, either, 'payroll@example.com', stranger), true);
      assert.equal(asks(flow, either, 'someone@example.com', 'a@bank.example'), true);
      assert.equal(asks(flow, either, 'someone@example.com', stranger), false);
    });

    it('"both" needs both sides listed', () => {
      assert.equal(asks(flow, both, 'payroll@example.com', 'a@bank.example'), true);
      assert.equal(asks(flow, both, 'payroll@example.com', stranger), false);
      assert.equal(asks(flow, both, 'someone@example.com', 'a@bank.example'), false);
    });

    it('"both" takes an empty list for everyone, the null sender too', () => {
      const onlyOwn = `require_tls = "specific"\nwhen = "both"\n${own} = "payroll"`;
      const onlyFar = `require_tls = "specific"\nwhen = "both"\n${far} = "bank.example"\n${own} = []`;
      assert.equal(asks(flow, onlyOwn, 'payroll@example.com', stranger), true);
      assert.equal(asks(flow, onlyOwn, 'payroll@example.com', ''), true);
      assert.equal(asks(flow, onlyOwn, 'someone@example.com', stranger), false);
      assert.equal(asks(flow, onlyFar, 'someone@example.com', 'a@bank.example'), true);
      assert.equal(asks(flow, onlyFar, 'someone@example.com', stranger), false);
    });
  });

  describe(`a list of ${flow}`, () => {
    it('is a string split at spaces, commas and newlines, or an array: it means the same', () => {
      for (const list of [
        '"ceo@a.example, b.example"',
        '"ceo@a.example b.example"',
        '"""\nceo@a.example\n\n, b.example,\n"""',
      ]) {
        const setting = `require_tls = "specific"\n${far} = ${list}`;
        assert.equal(asks(flow, setting, 'x@example.com', 'ceo@a.example'), true, list);
        assert.equal(asks(flow, setting, 'x@example.com', 'a@b.example'), true, list);
        assert.equal(asks(flow, setting, 'x@example.com', 'cfo@a.example'), false, list);
      }
    });
  });
}

describe('require_tls', () => {
  it('is never unless said otherwise', () => {
    assert.equal(asks('incoming', '', 'a@example.com', 'b@c.example'), false);
    assert.equal(asks('incoming', 'require_tls = "never"', 'a@example.com', 'b@c.example'), false);
    assert.equal(asks('incoming', 'require_tls = "always"', 'a@example.com', ''), true);
  });

  it('counts for the flow it stands in alone', () => {
    const settings = compile('[domains."example.com".incoming.receipt]\nrequire_tls = "always"');
    const parties = findParties(settings, 'a@example.com', 'b@other.example', DEFAULT_ADDRESS_RULES);
    assert.equal(requirement(parties, 'outgoing', 'receipt'), undefined);
  });
});

describe('defaults', () => {
  const defaults = `[defaults.incoming.receipt]
require_tls = "always"
min_protocol = "TLSv1.3"
on_failure = "defer"
[defaults.outgoing.delivery]
require_tls = "specific"
senders = "ceo"
level = "secure"`;

  it('hold for every domain that lacks that setting', () => {
    const domain = [...compile('[domains."example.com"]', { defaults }).domains()][0];
    assert.equal(domain?.settings.incoming.receipt?.minProtocol, 'TLSv1.3');
    assert.equal(domain?.settings.outgoing.delivery?.level, 'secure');
    assert.equal(domain?.settings.incoming.delivery, undefined);
  });

  it('are replaced whole by a setting that a domain has', () => {
    const settings = compile('[domains."example.com".incoming.receipt]\nrequire_tls = "always"', { defaults });
    const domain = [...settings.domains()][0];
    assert.equal(domain?.settings.incoming.receipt?.minProtocol, 'TLSv1.2');
    assert.equal(domain?.settings.incoming.receipt?.onFailure, 'reject');
    assert.equal(domain?.settings.outgoing.delivery?.level, 'secure', 'the other flow keeps its default');
  });

  it('are replaced by an empty table, which is never', () => {
    const settings = compile('[domains."example.com".incoming.receipt]', { defaults });
    assert.equal([...settings.domains()][0]?.settings.incoming.receipt, undefined);
  });

  it('hold a local part for every domain', () => {
    const settings = compile('[domains."example.com"]\n[domains."example.org"]', { defaults });
    for (const name of ['example.com', 'example.org']) {
      const parties = findParties(settings, `ceo@${name}`, 'a@elsewhere.example', DEFAULT_ADDRESS_RULES);
      assert.notEqual(requirement(parties, 'outgoing', 'delivery'), undefined, name);
    }
  });
});
