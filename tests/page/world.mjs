// SPDX-License-Identifier: LGPL-2.1-or-later
// world.py from here: each command waits for the answer to the one before it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class World {
  constructor (python, build) {
    const script = fileURLToPath(new URL('world.py', import.meta.url));
    this.child = spawn(python, [script, build], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.last = Promise.resolve();
  }

  do (...command) {
    this.last = this.last.catch(() => {}).then(() => this.ask(command));
    return this.last;
  }

  async ask (command) {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value: line } = await this.answers.next();
    const { value, error } = JSON.parse(line ?? '{"error": "world.py ended"}');
    if (error !== undefined)
      throw new Error(`${command}: ${error}`);
    return value;
  }

  async end () {
    this.child.stdin.end();
    await once(this.child, 'exit');
  }
}
