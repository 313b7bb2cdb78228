import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleOf } from '../../src/doctor/sample.ts';
import { compile } from '../decision/core.ts';

test('of very many domains so many are looked at one by one, spread over all; none is a trial of doctor --live', () => {
  const names = Array.from({ length: 10 }, (_, i) => `d${i}.example`);
  const trial = 'tls.doctor-mb2k3xq0-4711-0a1b2c3d.tlswarden.invalid';
  const { settings } = compile({ domains: Object.fromEntries([...names, trial].map((name) => [name, {}])) });
  const looked = (most?: number): readonly string[] => sampleOf(settings, most).domains.map(({ name }) => name);
  assert.deepEqual(looked(), names);
  assert.equal(sampleOf(settings).of, names.length);
  assert.deepEqual(looked(4), ['d0.example', 'd3.example', 'd6.example', 'd9.example']);
  assert.equal(sampleOf(settings, 4).of, settings.size);
});
