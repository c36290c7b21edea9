// Returns the texts whose contrast with their background is below 4.5, which WCAG 2 requires of small text (AA).
(() => {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [red, green, blue] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = (node) => {
    const color = getComputedStyle(node).backgroundColor;
    return (channels(color)[3] ?? 1) === 0 ? background(node.parentElement) : color;
  };
  const low = [];
  for (const node of document.body.querySelectorAll("*")) {
    const text = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE);
    const shown = text.map((child) => child.textContent.trim()).join("") || node.value;
    if (!shown || ["SCRIPT", "OPTION"].includes(node.tagName) || !node.checkVisibility()) continue;
    const [a, b] = [getComputedStyle(node).color, background(node)].map(luminance).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${shown}`);
  }
  return low;
})()
