import { toString as draw } from "qrcode";

/** A text as a QR code (ISO/IEC 18004), dark on light whatever the page's colours are: a data URI for an image. */
export async function qrCode(content: string): Promise<string> {
  const svg = await draw(content, { type: "svg", errorCorrectionLevel: "M", margin: 4 });
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
}
