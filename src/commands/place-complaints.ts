/**
 * Adds to complaints the line on which their key stands, by reading the files again, and puts those of a file in the order
 * of its lines. Best effort, for people: a file that is gone or has changed since costs the line and nothing else.
 */
import { resolve } from 'node:path';
import { type Complaint, ComplaintError } from '../toml/complaint.ts';
import { KeyLocator } from '../toml/locate-key.ts';
import { readRegularFile } from '../toml/read-toml.ts';

/** `directory`: what the files of complaints about domains are relative to. */
export async function placeComplaints(
  complaints: readonly Complaint[],
  directory: string | undefined,
): Promise<readonly Complaint[]> {
  const locators = new Map<string, KeyLocator | undefined>();
  const placed: Complaint[] = [];
  for (const complaint of complaints) {
    const { file, line, domain, key } = complaint;
    if (file === undefined || line !== undefined || (domain === undefined && key === undefined)) {
      placed.push(complaint);
      continue;
    }
    if (!locators.has(file)) locators.set(file, await readLocator(file, directory));
    const found = locators.get(file)?.nearest(domain, key);
    placed.push(found === undefined ? complaint : { ...complaint, line: found.line });
  }
  return byLine(placed);
}

/** The files in the order in which they come, each from top to bottom; what has no line comes first. */
function byLine(complaints: readonly Complaint[]): readonly Complaint[] {
  const files = new Map<string | undefined, number>();
  for (const { file } of complaints) if (!files.has(file)) files.set(file, files.size);
  const place = ({ file }: Complaint): number => files.get(file) ?? 0;
  return complaints.toSorted((a, b) => place(a) - place(b) || (a.line ?? 0) - (b.line ?? 0));
}

async function readLocator(file: string, directory: string | undefined): Promise<KeyLocator | undefined> {
  // The main file is named by its path as given; a settings file by its name in the directory.
  for (const path of directory === undefined ? [file] : [resolve(directory, file), file]) {
    try {
      return new KeyLocator((await readRegularFile(path, file)).text);
    } catch (error) {
      if (!(error instanceof ComplaintError)) throw error;
    }
  }
  return undefined;
}
