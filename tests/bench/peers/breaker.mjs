// SPDX-License-Identifier: LGPL-2.1-or-later
// Circuit breakers for JavaScript: prints `case <tab> peer <tab> ns`, the median of nine runs after
// one that does not count. Each call is awaited; one second of calls warms the compiler up.
import { createRequire } from 'node:module';

const require = createRequire(process.cwd() + '/');
const cockatiel = require('cockatiel');
const Opossum = require('opossum');

const RUN_NS = 1e8;
const ROUNDS = 9;

const answer = async () => 42;
const fail = async () => {
  throw new Error('refused');
};

async function ignore(promise) {
  try {
    return await promise;
  } catch {
    return undefined;
  }
}

async function run(func, n) {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < n; i++)
    await func();
  return Number(process.hrtime.bigint() - begin) / n;
}

async function measure(name, peer, func) {
  let ns = 0;
  for (let warm = 0; warm < 1e9; warm += ns * 20000)
    ns = await run(func, 20000);
  const n = Math.ceil(RUN_NS / ns);
  const runs = [];
  for (let round = -1; round < ROUNDS; round++) {
    ns = await run(func, n);
    if (round >= 0)
      runs.push(ns);
  }
  runs.sort((a, b) => a - b);
  console.log(`${name}\t${peer}\t${runs[(ROUNDS - 1) / 2].toFixed(1)}`);
}

function cockatielPolicy(breaker) {
  return cockatiel.circuitBreaker(cockatiel.handleAll, { halfOpenAfter: 86400e3, breaker });
}

const plain = cockatielPolicy(new cockatiel.ConsecutiveBreaker(5));
await measure('closed-default', 'cockatiel', () => plain.execute(answer));

const sampling = cockatielPolicy(
  new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 10000, minimumRps: 1 }));
await measure('closed-full', 'cockatiel', () => sampling.execute(answer));

const open = cockatielPolicy(new cockatiel.ConsecutiveBreaker(1));
await ignore(open.execute(fail));
await measure('open-refusal-error', 'cockatiel', () => ignore(open.execute(answer)));

// Its window is always one of time.
const opossum = new Opossum(answer, { timeout: false });
for (const name of ['closed-default', 'closed-full'])
  await measure(name, 'opossum', () => opossum.fire());

const opened = new Opossum(answer, { timeout: false, resetTimeout: 86400e3 });
opened.open();
await measure('open-refusal-error', 'opossum', () => ignore(opened.fire()));
process.exit(0);
