/**
 * Values of main.cf that are lists: elements between commas and white space, `{ … }` being one (mystrtokq(3) in Postfix's
 * source). Pure; what an element means is its caller's.
 */

/** The elements of a value. */
export function splitValue(value: string): readonly string[] {
  const elements: string[] = [];
  let element = '';
  let depth = 0;
  for (const character of value) {
    if (depth === 0 && /[\s,]/u.test(character)) {
      if (element !== '') elements.push(element);
      element = '';
      continue;
    }
    if (character === '{') depth += 1;
    else if (character === '}' && depth > 0) depth -= 1;
    element += character;
  }
  if (element !== '') elements.push(element);
  return elements;
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
