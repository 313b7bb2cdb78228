/**
 * Which paths main.cf and master.cf can name. It looks at no file.
 */

/** What is wrong with a path that Postfix would read as something else (postconf(5), its syntax); undefined if nothing is. */
export function pathProblem(path: string): string | undefined {
  return /[\s,${}\p{Cc}]/u.test(path)
    ? 'Postfix cannot name a path with a blank, a comma, "$", "{" or "}": choose another'
    : undefined;
}
