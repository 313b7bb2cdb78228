/**
 * What tlswarden asks of Postfix's own files, as values: `postfix show` prints them, `postfix apply` sets them. Nothing
 * here reads or writes those files.
 */

/** A parameter of main.cf. */
export interface ParameterFragment {
  readonly parameter: string;
  /** The whole value, what is there now included. One line. */
  readonly value: string;
  /** Half a sentence: what it is for. */
  readonly reason: string;
}

/** A service of master.cf. */
export interface ServiceFragment {
  /** `name/type`, as postconf(1) -M names it. */
  readonly service: string;
  /** The whole entry in one line. */
  readonly line: string;
  /** Whether the settings need it now. */
  readonly isInUse: boolean;
  readonly reason: string;
}

/** A parameter that a service of master.cf sets for itself, by `-o`, and so takes out of main.cf's hand. */
export interface OverrideFragment {
  /** `submission/inet`. */
  readonly service: string;
  readonly parameter: string;
  readonly value: string;
  readonly reason: string;
}

/** All that is asked of main.cf and master.cf; what stands there already is among it. */
export interface Fragments {
  readonly parameters: readonly ParameterFragment[];
  readonly services: readonly ServiceFragment[];
  readonly overrides: readonly OverrideFragment[];
  /** What cannot be said in these files, or what somebody has to look at: whole sentences. */
  readonly notes: readonly string[];
}

/** What Postfix has now. */
export interface PresentConfiguration {
  /** main.cf's values, `$name` and all where they are to be added to; absent: this Postfix does not know the parameter. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Values that services set for themselves: `submission/inet/smtpd_recipient_restrictions` and so on. */
  readonly overrides: ReadonlyMap<string, string>;
}

/** What the fragments say of this host. */
export interface FragmentContext {
  /** Where the policy service is: `inet:127.0.0.1:10040`, `unix:/run/tlswarden/policy`. */
  readonly policyService: string;
  /** undefined: no tables, every delivery requirement by FILTER. */
  readonly maps: { readonly directory: string; readonly type: string } | undefined;
  readonly present: PresentConfiguration;
}
