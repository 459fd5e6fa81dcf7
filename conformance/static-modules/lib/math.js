// Imports by bare name, relative to its own folder, and by relative path.
import page from "page.html";
import { base } from "../base.js";

export const sum = (a, b) => a + b + base;
export { page };
