/** What stands in for a logo that cannot be had: the first letter of the application's name, as pages show it for those that have no logo. */
export function initialOf(name: string): string {
  const [letter = "?"] = [...new Intl.Segmenter().segment(name.trim())].map(({ segment }) => segment.toUpperCase());
  const escaped = letter.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><style>
text{fill:#1d2433;font:650 24px system-ui,sans-serif;text-anchor:middle}@media (prefers-color-scheme:dark){text{fill:#e8ebf2}}
</style><text x="24" y="32">${escaped}</text></svg>`;
}
