/**
 * What everybody says: sentences of a few words each, which lists of single words take for something rare. With their spaces; people type them
 * without as well. In lower case, the most likely first in each language; Japanese and Arabic in their own letters and in Latin ones.
 */
export const PHRASES: Readonly<Record<"en" | "de" | "fr" | "es" | "ja" | "ar", readonly string[]>> = {
  en: [
    ...["i love you", "i love you so much", "let me in", "my password", "my secret password", "good morning", "good night", "thank you"],
    ...["happy birthday", "merry christmas", "once upon a time", "to be or not to be", "may the force be with you", "open sesame"],
    ...["the quick brown fox jumps over the lazy dog", "in god we trust", "home sweet home", "never gonna give you up"],
  ],
  de: [
    ...["ich liebe dich", "ich hab dich lieb", "mein schatz", "guten morgen", "gute nacht", "guten tag", "auf wiedersehen", "vielen dank"],
    ...["alles gute zum geburtstag", "frohe weihnachten", "mein passwort", "geheimes passwort", "lass mich rein", "das ist geheim"],
    ...["herzlich willkommen", "ende gut alles gut", "aller guten dinge sind drei", "übung macht den meister"],
  ],
  fr: [
    ...["je t'aime", "je t’aime", "je taime", "mon amour", "bonne nuit", "bonne journée", "bon anniversaire", "joyeux anniversaire"],
    ...["mot de passe", "mon mot de passe", "au revoir", "merci beaucoup", "joyeux noël", "c'est la vie", "ma chérie", "mon petit coeur"],
    ...["il était une fois", "liberté égalité fraternité", "comment allez-vous"],
  ],
  es: [
    ...["te amo", "te quiero", "te quiero mucho", "mi amor", "mi vida", "te amo mi amor", "buenos días", "buenas noches", "muchas gracias"],
    ...["feliz cumpleaños", "feliz navidad", "mi contraseña", "la contraseña", "contraseña segura", "hasta la vista", "hasta luego"],
    ...["por siempre", "dios es amor", "que tengas un buen día"],
  ],
  ja: [
    ...["aishiteru", "aishiteru yo", "daisuki da yo", "arigatou gozaimasu", "arigato gozaimasu", "ohayou gozaimasu", "ohayo gozaimasu"],
    ...["yoroshiku onegaishimasu", "onegaishimasu", "konnichiwa", "konbanwa", "oyasuminasai", "sayounara", "omedetou gozaimasu"],
    ...["tanjoubi omedetou", "itadakimasu", "gochisousama", "ganbatte kudasai", "daijoubu desu", "otsukaresama desu"],
    ...[
      "愛してる",
      "大好き",
      "ありがとうございます",
      "おはようございます",
      "よろしくお願いします",
      "こんにちは",
      "こんばんは",
      "おやすみなさい",
    ],
    ...["お誕生日おめでとう", "おめでとうございます", "いただきます", "さようなら", "パスワード"],
  ],
  ar: [
    ...["ana bahebak", "ahebak", "bahebak", "habibi", "habibti", "ya habibi", "bismillah", "alhamdulillah", "mashallah", "inshallah"],
    ...["allahu akbar", "salam alaikum", "assalamu alaikum", "la ilaha illallah", "bismillah al rahman al rahim"],
    ...["أحبك", "انا احبك", "حبيبي", "حبيبتي", "بسم الله", "الحمد لله", "الله اكبر", "السلام عليكم", "ما شاء الله", "إن شاء الله"],
    ...["لا إله إلا الله", "بسم الله الرحمن الرحيم", "صباح الخير", "مساء الخير", "كلمة المرور", "كلمة السر"],
  ],
};
