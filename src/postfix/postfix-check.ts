/**
 * `postfix check`, and what it says. Its script logs its reasons by postlog(1), which shows them on a terminal only: so, once
 * it has failed, it gets one, by script(1) of util-linux.
 */
import { ProgramError, runProgram } from '../process/run-program.ts';

/** What is wrong, in Postfix's words, a line each; undefined: nothing. */
export async function checkPostfix(configDirectory: string): Promise<string | undefined> {
  const { failed, output, missing } = await run('postfix', ['-c', configDirectory, 'check']);
  if (missing !== undefined) return missing;
  if (!failed) return undefined;
  const env = { ...process.env, TLSWARDEN_POSTFIX: configDirectory };
  const seen = await run('script', ['-qec', 'exec postfix -c "$TLSWARDEN_POSTFIX" check', '/dev/null'], env);
  return reasonIn(`${output}\n${seen.output}`);
}

/** Whether it fails, whatever the reason. */
export async function failsCheck(configDirectory: string): Promise<boolean> {
  return (await run('postfix', ['-c', configDirectory, 'check'])).failed;
}

/** Every process of a check warns of the same things: each line once, and what ended it first. */
function reasonIn(output: string): string {
  const lines = [...new Set(output.split(/\r?\n/u).map((line) => line.replace(/^.*?\]: /u, '').trim()))];
  const said = lines.filter((line) => line !== '');
  const [fatal, others] = [
    said.filter((line) => /\bfatal:/u.test(line)),
    said.filter((line) => !/\bfatal:/u.test(line)),
  ];
  return [...fatal, ...others].slice(0, 20).join('\n') || 'it gave no reason; the mail log may have one';
}

interface Run {
  readonly failed: boolean;
  readonly output: string;
  /** Why the program could not be started. */
  readonly missing: string | undefined;
}

async function run(program: string, args: readonly string[], env = process.env): Promise<Run> {
  try {
    const { failure, stdout, stderr } = await runProgram(program, args, { env, input: '' });
    return { failed: failure !== undefined, output: stderr + stdout, missing: undefined };
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    return { failed: true, output: '', missing: error.message };
  }
}
