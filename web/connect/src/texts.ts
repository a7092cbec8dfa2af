/** Every sentence of the page. `{app}`, `{appDative}`, `{service}` and `{date}` are filled in. */

export const LANGUAGES = ['en', 'de', 'fr', 'es', 'ja'] as const;
export type Language = (typeof LANGUAGES)[number];

/** Order of {@link LANGUAGES}. */
type Row = readonly [en: string, de: string, fr: string, es: string, ja: string];

const ROWS = {
  theApp: ['the app', 'die App', 'l’application', 'la aplicación', 'アプリ'],
  /** German only: the form after a preposition. */
  theAppDative: ['the app', 'der App', 'l’application', 'la aplicación', 'アプリ'],
  loading: ['Loading…', 'Wird geladen …', 'Chargement…', 'Cargando…', '読み込み中…'],
  close: ['Close', 'Schließen', 'Fermer', 'Cerrar', '閉じる'],
  back: ['Back', 'Zurück', 'Retour', 'Volver', '戻る'],
  choose: [
    'What would you like to connect?',
    'Was möchten Sie verbinden?',
    'Que souhaitez-vous connecter ?',
    '¿Qué desea conectar?',
    '接続するサービスを選んでください',
  ],
  search: ['Search', 'Suchen', 'Rechercher', 'Buscar', '検索'],
  nothingFound: ['Nothing found.', 'Nichts gefunden.', 'Aucun résultat.', 'Sin resultados.', '見つかりません。'],
  empty: [
    'There is nothing to connect here at the moment. Go back to {app}.',
    'Hier gibt es gerade nichts zu verbinden. Gehen Sie zurück zu {appDative}.',
    'Il n’y a rien à connecter pour le moment. Revenez à {app}.',
    'No hay nada que conectar por ahora. Vuelva a {app}.',
    '現在接続できるものはありません。{app}に戻ってください。',
  ],
  connectTitle: [
    'Connect {service}',
    '{service} verbinden',
    'Connecter {service}',
    'Conectar {service}',
    '{service}を接続',
  ],
  reconnectTitle: [
    'Reconnect {service}',
    '{service} neu verbinden',
    'Reconnecter {service}',
    'Volver a conectar {service}',
    '{service}を再接続',
  ],
  asks: [
    '{app} asks for access to your {service} account.',
    '{app} bittet um Zugriff auf Ihr {service}-Konto.',
    '{app} demande l’accès à votre compte {service}.',
    '{app} solicita acceso a su cuenta de {service}.',
    '{app}が{service}アカウントへのアクセスを求めています。',
  ],
  reconnectWhy: [
    'The connection needs your approval again. Nothing that is already there is lost.',
    'Die Verbindung braucht erneut Ihre Zustimmung. Vorhandenes geht nicht verloren.',
    'La connexion nécessite à nouveau votre accord. Rien de ce qui existe n’est perdu.',
    'La conexión necesita de nuevo su aprobación. No se pierde nada de lo existente.',
    '接続には再度の承認が必要です。既存のデータは失われません。',
  ],
  already: [
    'You already connected {service} on {date}. Connecting again adds another connection.',
    'Sie haben {service} schon am {date} verbunden. Erneutes Verbinden fügt eine weitere Verbindung hinzu.',
    'Vous avez déjà connecté {service} le {date}. Une nouvelle connexion s’ajoutera.',
    'Ya conectó {service} el {date}. Si conecta de nuevo, se añadirá otra conexión.',
    '{service}は{date}に接続済みです。もう一度接続すると、別の接続が追加されます。',
  ],
  lets: [
    'This lets the app',
    'Das erlaubt der App',
    'Cela permet à l’application',
    'Esto permite a la aplicación',
    '許可される内容',
  ],
  permissions: ['Permissions', 'Berechtigungen', 'Autorisations', 'Permisos', '権限'],
  scopeRead: ['See your data', 'Ihre Daten sehen', 'Voir vos données', 'Ver sus datos', 'データの閲覧'],
  scopeWrite: [
    'Add and change data',
    'Daten hinzufügen und ändern',
    'Ajouter et modifier des données',
    'Añadir y cambiar datos',
    'データの追加と変更',
  ],
  scopeReadWrite: [
    'See, add and change data',
    'Daten sehen, hinzufügen und ändern',
    'Voir, ajouter et modifier des données',
    'Ver, añadir y cambiar datos',
    'データの閲覧・追加・変更',
  ],
  scopeProfile: [
    'See your name and e-mail address',
    'Ihren Namen und Ihre E-Mail-Adresse sehen',
    'Voir votre nom et votre adresse e-mail',
    'Ver su nombre y correo electrónico',
    '名前とメールアドレスの閲覧',
  ],
  scopeOffline: [
    'Stay connected while you are away',
    'Verbunden bleiben, während Sie weg sind',
    'Rester connecté en votre absence',
    'Seguir conectada cuando usted no esté',
    'オフライン時も接続を維持',
  ],
  leave: [
    'You can end this at any time in {app}.',
    'Sie können dies jederzeit in {appDative} beenden.',
    'Vous pouvez y mettre fin à tout moment dans {app}.',
    'Puede terminarlo en cualquier momento en {app}.',
    '{app}からいつでも解除できます。',
  ],
  emulated: ['Emulated', 'Emuliert', 'Émulé', 'Emulado', 'エミュレーター'],
  emulatedWhy: [
    'A test copy of {service}. No real account is touched.',
    'Eine Testkopie von {service}. Kein echtes Konto wird berührt.',
    'Une copie de test de {service}. Aucun compte réel n’est concerné.',
    'Una copia de prueba de {service}. No se toca ninguna cuenta real.',
    '{service}のテスト用コピーです。実際のアカウントには影響しません。',
  ],
  docs: ['Where do I find this?', 'Wo finde ich das?', 'Où trouver cela ?', '¿Dónde lo encuentro?', '確認方法'],
  apiKey: ['API key', 'API-Schlüssel', 'Clé API', 'Clave de API', 'APIキー'],
  username: ['User name', 'Benutzername', 'Nom d’utilisateur', 'Nombre de usuario', 'ユーザー名'],
  password: ['Password', 'Passwort', 'Mot de passe', 'Contraseña', 'パスワード'],
  optional: ['optional', 'freiwillig', 'facultatif', 'opcional', '任意'],
  show: ['Show', 'Zeigen', 'Afficher', 'Mostrar', '表示'],
  hide: ['Hide', 'Verbergen', 'Masquer', 'Ocultar', '隠す'],
  required: [
    'Please fill this in.',
    'Bitte ausfüllen.',
    'Veuillez remplir ce champ.',
    'Rellene este campo.',
    '入力してください。',
  ],
  connect: ['Connect', 'Verbinden', 'Connecter', 'Conectar', '接続'],
  continueTo: [
    'Continue to {service}',
    'Weiter zu {service}',
    'Continuer vers {service}',
    'Continuar a {service}',
    '{service}へ進む',
  ],
  checking: [
    'Checking with {service}…',
    'Wird bei {service} geprüft …',
    'Vérification auprès de {service}…',
    'Comprobando con {service}…',
    '{service}に確認中…',
  ],
  inWindow: [
    'Continue in the window that has opened.',
    'Machen Sie in dem geöffneten Fenster weiter.',
    'Continuez dans la fenêtre qui s’est ouverte.',
    'Continúe en la ventana que se ha abierto.',
    '開いたウィンドウで続けてください。',
  ],
  windowGone: [
    'The window seems to be closed. If you did not finish, try again.',
    'Das Fenster scheint geschlossen zu sein. Falls Sie nicht fertig waren, versuchen Sie es erneut.',
    'La fenêtre semble fermée. Si vous n’aviez pas terminé, réessayez.',
    'Parece que la ventana está cerrada. Si no terminó, inténtelo de nuevo.',
    'ウィンドウが閉じられたようです。完了していない場合は、もう一度お試しください。',
  ],
  cancel: ['Cancel', 'Abbrechen', 'Annuler', 'Cancelar', 'キャンセル'],
  again: ['Try again', 'Erneut versuchen', 'Réessayer', 'Intentar de nuevo', 'もう一度試す'],
  openTab: [
    'Open in a new tab',
    'In neuem Tab öffnen',
    'Ouvrir dans un nouvel onglet',
    'Abrir en una pestaña nueva',
    '新しいタブで開く',
  ],
  done: ['Done', 'Fertig', 'Terminé', 'Listo', '完了'],
  connected: ['Connected', 'Verbunden', 'Connecté', 'Conectado', '接続しました'],
  connectedText: [
    '{service} is now connected to {app}.',
    '{service} ist jetzt mit {appDative} verbunden.',
    '{service} est maintenant connecté à {app}.',
    '{service} ya está conectado a {app}.',
    '{service}が{app}に接続されました。',
  ],
  closeTab: [
    'You can close this tab and go back to {app}.',
    'Sie können diesen Tab schließen und zu {appDative} zurückkehren.',
    'Vous pouvez fermer cet onglet et revenir à {app}.',
    'Puede cerrar esta pestaña y volver a {app}.',
    'このタブを閉じて、{app}に戻ってください。',
  ],
  details: [
    'Details for support',
    'Einzelheiten für den Support',
    'Détails pour l’assistance',
    'Detalles para soporte',
    'サポート用の詳細',
  ],
  errBlocked: [
    'Your browser blocked the login window. Open it in a new tab instead.',
    'Ihr Browser hat das Anmeldefenster blockiert. Öffnen Sie es stattdessen in einem neuen Tab.',
    'Votre navigateur a bloqué la fenêtre. Ouvrez-la dans un nouvel onglet.',
    'Su navegador bloqueó la ventana. Ábrala en una pestaña nueva.',
    'ブラウザーがウィンドウをブロックしました。新しいタブで開いてください。',
  ],
  errRefused: [
    'Access was not granted, so nothing was connected.',
    'Der Zugriff wurde nicht erlaubt; es wurde nichts verbunden.',
    'L’accès n’a pas été accordé ; rien n’a été connecté.',
    'No se concedió el acceso; no se ha conectado nada.',
    'アクセスが許可されなかったため、接続されていません。',
  ],
  errProvider: [
    '{service} did not answer as expected. Wait a moment and try again.',
    '{service} hat nicht wie erwartet geantwortet. Warten Sie einen Moment und versuchen Sie es erneut.',
    '{service} n’a pas répondu comme prévu. Attendez un instant et réessayez.',
    '{service} no respondió como se esperaba. Espere un momento e inténtelo de nuevo.',
    '{service}から予期しない応答がありました。しばらくしてからもう一度お試しください。',
  ],
  errSetup: [
    '{app} has not set up this connection correctly. Please tell its makers; it is not your fault.',
    '{app} hat diese Verbindung nicht richtig eingerichtet. Bitte sagen Sie den Betreibern Bescheid; es liegt nicht an Ihnen.',
    '{app} n’a pas configuré correctement cette connexion. Prévenez son éditeur ; ce n’est pas votre faute.',
    '{app} no ha configurado bien esta conexión. Avise a sus responsables; no es culpa suya.',
    '{app}側の接続設定に問題があります。提供元にお知らせください。お客様の操作の問題ではありません。',
  ],
  errOver: [
    'This page is no longer valid: it was already used, or is too old. Go back to {app} and start again.',
    'Diese Seite gilt nicht mehr: Sie wurde schon benutzt oder ist zu alt. Gehen Sie zu {appDative} zurück und beginnen Sie neu.',
    'Cette page n’est plus valable : elle a déjà servi ou est trop ancienne. Revenez à {app} et recommencez.',
    'Esta página ya no es válida: ya se usó o es demasiado antigua. Vuelva a {app} y empiece de nuevo.',
    'このページは無効です。すでに使用されたか、有効期限が切れています。{app}に戻ってやり直してください。',
  ],
  errCookies: [
    'The login was finished in another browser, or cookies are blocked. Allow cookies and try again.',
    'Die Anmeldung endete in einem anderen Browser, oder Cookies sind gesperrt. Erlauben Sie Cookies und versuchen Sie es erneut.',
    'La connexion s’est terminée dans un autre navigateur, ou les cookies sont bloqués. Autorisez-les et réessayez.',
    'El inicio de sesión terminó en otro navegador, o las cookies están bloqueadas. Permítalas e inténtelo de nuevo.',
    '別のブラウザーで完了したか、Cookieがブロックされています。Cookieを許可して、もう一度お試しください。',
  ],
  errGone: [
    'The connection to repair was removed meanwhile. Go back to {app} and connect anew.',
    'Die Verbindung wurde inzwischen entfernt. Gehen Sie zu {appDative} zurück und verbinden Sie neu.',
    'La connexion à réparer a été supprimée. Revenez à {app} et connectez-vous à nouveau.',
    'La conexión que se iba a reparar ya no existe. Vuelva a {app} y conecte de nuevo.',
    '再接続する接続は削除されています。{app}に戻って新しく接続してください。',
  ],
  errNetwork: [
    'There is no connection to the server. Check your internet and try again.',
    'Keine Verbindung zum Server. Prüfen Sie Ihr Internet und versuchen Sie es erneut.',
    'Aucune connexion au serveur. Vérifiez votre connexion internet et réessayez.',
    'No hay conexión con el servidor. Compruebe su internet e inténtelo de nuevo.',
    'サーバーに接続できません。インターネット接続を確認して、もう一度お試しください。',
  ],
  errNoToken: [
    'This page was opened without its key. Go back to {app} and start again.',
    'Diese Seite wurde ohne ihren Schlüssel geöffnet. Gehen Sie zu {appDative} zurück und beginnen Sie neu.',
    'Cette page a été ouverte sans sa clé. Revenez à {app} et recommencez.',
    'Esta página se abrió sin su clave. Vuelva a {app} y empiece de nuevo.',
    'このページは必要な情報なしで開かれました。{app}に戻ってやり直してください。',
  ],
  errUnknown: [
    'Something went wrong. Try again in a moment.',
    'Etwas ist schiefgegangen. Versuchen Sie es gleich noch einmal.',
    'Un problème est survenu. Réessayez dans un instant.',
    'Algo salió mal. Inténtelo de nuevo en un momento.',
    '問題が発生しました。しばらくしてからもう一度お試しください。',
  ],
} satisfies Record<string, Row>;

export type TextName = keyof typeof ROWS;
export type Translate = (name: TextName, values?: Record<string, string>) => string;

/** The language asked for by the app, else by the browser, else English. */
export function chooseLanguage(asked: string | null): Language {
  for (const tag of [asked ?? '', ...navigator.languages]) {
    const found = LANGUAGES.find((language) => tag.toLowerCase().startsWith(language));
    if (found !== undefined) return found;
  }
  return 'en';
}

/** Texts in one language. `app` is the name of the app; without one the sentences say "the app". */
export function translator(language: Language, app: string | undefined): Translate {
  const column = LANGUAGES.indexOf(language);
  const text = (name: TextName): string => (ROWS[name] as Row)[column] as string;
  const always: Record<string, string> = { app: app ?? text('theApp'), appDative: app ?? text('theAppDative') };
  return (name, values = {}) => {
    const filled = text(name).replace(/\{(\w+)\}/g, (hole, key: string) => values[key] ?? always[key] ?? hole);
    return filled.charAt(0).toLocaleUpperCase(language) + filled.slice(1);
  };
}
