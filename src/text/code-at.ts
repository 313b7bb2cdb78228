/**
 * A string's code unit, for loops over the characters of addresses and the like. Where strings of several internal
 * representations occur (slices, concatenations, names from a file), V8 resolves charCodeAt again for every character.
 */

/** `text.charCodeAt(index)` */
export const codeAt: (text: string, index: number) => number = Function.prototype.call.bind(
  String.prototype.charCodeAt,
);
