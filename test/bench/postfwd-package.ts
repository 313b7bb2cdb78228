/** Debian's postfwd, which only the benchmark needs: installed when it is about to be measured. Never starts its service. */
import { installPackages, isDebian, isInstalled } from '../debian-packages.ts';

export function installPostfwd(): void {
  if (isInstalled('postfwd')) return;
  const trouble =
    isDebian() && process.getuid?.() === 0
      ? installPackages(['postfwd'])
      : 'on Debian, root may: apt-get install postfwd';
  if (trouble !== undefined) throw new Error(`postfwd is missing: ${trouble}`);
}
