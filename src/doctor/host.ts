/**
 * What the examinations look at: one mail host as its files and programs tell it. A value; it is read by examine-host.ts.
 */
import type { FragmentContext, Fragments } from '../fragments/fragment.ts';
import type { MainFile } from '../main-file/main-file.ts';
import type { Settings } from '../settings/settings.ts';
import type { Entrance, OurNames } from './entrance.ts';
import type { Mending } from './mending.ts';
import type { PostfixConfiguration } from './postfix-configuration.ts';

/** All that is known of one mail host at one moment. */
export interface Host {
  readonly main: MainFile;
  readonly settings: Settings;
  readonly postfix: PostfixConfiguration;
  /** What Postfix's files should say, with what is there now kept. */
  readonly fragments: Fragments;
  /** What the fragments were made of. */
  readonly fragmentContext: FragmentContext;
  readonly names: OurNames;
  /** Every smtpd(8) service, in the order of master.cf. */
  readonly entrances: readonly Entrance[];
  readonly mending: Mending;
}
