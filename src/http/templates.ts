/** EJS templates: ours, and those of an operator that take their places. Compiled once, strict about what they are given, escaping everything. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ejs from "ejs";
import { escapeHtml } from "./wording.ts";

export type Template = (locals: object) => string;

/**
 * @param views the directory of ours: `layout.ejs`, one file per view, and `parts/`
 * @param overrides a directory with files of the same names, and with parts of its own
 * @returns gives a template by its name: its path below the directory, without `.ejs`
 * @throws {Error} naming the file that does not compile, or that is no page's
 */
export function loadTemplates(views: string, overrides?: string): (name: string) => Template {
  const templates = compileAll(views);
  for (const [name, template] of overrides === undefined ? [] : compileAll(overrides)) {
    if (!templates.has(name) && !name.startsWith("parts/")) {
      throw new Error(
        `VIEWS_DIR: ${join(overrides as string, name)}.ejs takes the place of no page: docs/branding.md says which there are`,
      );
    }
    templates.set(name, template);
  }
  return (name) => {
    const template = templates.get(name);
    if (template === undefined) throw new Error(`no template "${name}"`);
    return template;
  };
}

function compileAll(directory: string): Map<string, Template> {
  const templates = new Map<string, Template>();
  for (const file of namesIn(directory)) {
    if (!file.endsWith(".ejs")) continue;
    const filename = join(directory, file);
    try {
      const source = readFileSync(filename, "utf8");
      const template = ejs.compile(source, { filename, strict: true, localsName: "page", escape: escapeHtml });
      templates.set(file.slice(0, -".ejs".length).replaceAll("\\", "/"), template);
    } catch (cause) {
      throw new Error(`the template ${filename} does not compile: ${(cause as Error).message}`, { cause });
    }
  }
  return templates;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: "utf8" });
  } catch (cause) {
    throw new Error(`VIEWS_DIR: ${directory} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}
