/**
 * A string's code unit, for loops over the characters of addresses and the like. V8 looks charCodeAt itself up again for every character
 * where strings of many representations come along (slices, concatenations, names from a file), which costs more than the loop.
 */

/** `text.charCodeAt(index)` */
export const codeAt: (text: string, index: number) => number = Function.prototype.call.bind(
  String.prototype.charCodeAt,
);
