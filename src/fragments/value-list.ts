/**
 * Values of main.cf that are lists: elements between commas and white space, `{ … }` being one, as in the words of master.cf
 * (mystrtokq(3) in Postfix's source). Pure; what an element means is its caller's.
 */

/** The elements of a value. */
export function splitValue(value: string): readonly string[] {
  return split(value, /[\s,]/u);
}

/** The words of an entry of master.cf in one line, which only white space parts. */
export function splitWords(line: string): readonly string[] {
  return split(line, /\s/u);
}

function split(text: string, separator: RegExp): readonly string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (const character of text) {
    if (depth === 0 && separator.test(character)) {
      if (part !== '') parts.push(part);
      part = '';
      continue;
    }
    if (character === '{') depth += 1;
    else if (character === '}' && depth > 0) depth -= 1;
    part += character;
  }
  if (part !== '') parts.push(part);
  return parts;
}

/** `first`, then what is there now without whatever `isOurs`. */
export function withFirst(first: string, present: string, isOurs: (element: string) => boolean): string {
  const others = without(present, isOurs);
  return others === '' ? first : `${first}, ${others}`;
}

/** What is there now without whatever `isOurs`. */
export function without(present: string, isOurs: (element: string) => boolean): string {
  return splitValue(present)
    .filter((element) => !isOurs(element))
    .join(', ');
}

/** Whether Postfix reads the same in both, however the elements are parted: over many lines, say. */
export function isSameValue(a: string, b: string): boolean {
  const [some, others] = [splitValue(a), splitValue(b)].map((list) => list.map((text) => text.replace(/\s+/gu, ' ')));
  return some?.length === others?.length && some?.every((element, i) => element === others?.[i]) === true;
}

/** Whether a list of tables has this one in it, of whatever type: `lmdb:/dir/transport`, `proxy:lmdb:/dir/transport`. */
export function isTableAt(element: string, path: string): boolean {
  return element.endsWith(`:${path}`);
}
