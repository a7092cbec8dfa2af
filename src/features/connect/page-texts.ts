/** The few sentences of the callback page, in the languages of the Connect page. */

export const LANGUAGES = ['en', 'de', 'fr', 'es', 'ja'] as const;
export type Language = (typeof LANGUAGES)[number];

/** What the person is told; each kind has one next step. */
export type PageKind = 'success' | 'refused' | 'over' | 'otherBrowser' | 'provider' | 'setup' | 'unknown';

interface PageTexts {
  close: string;
  details: string;
  kinds: Record<PageKind, { title: string; text: string }>;
}

/** The kind of page for one of our error codes. `providerError` is the provider's own code. */
export function kindOf(code: string, providerError?: string): PageKind {
  if (code === 'callback_err') return providerError === 'access_denied' ? 'refused' : 'provider';
  if (providerError === 'invalid_client') return 'setup';
  if (code === 'state_cookie_err') return 'otherBrowser';
  if (['state_err', 'unknown_connect_session_token', 'invalid_connect_session_token_format'].includes(code))
    return 'over';
  if (['token_err', 'provider_unreachable', 'egress_unresolved', 'discovery_failed'].includes(code)) return 'provider';
  const setup = [
    'url_param_err',
    'invalid_scope',
    'integration_not_ready',
    'integration_not_allowed',
    'invalid_auth_mode',
    'unknown_provider_config',
    'iss_err',
    'egress_refused',
    'emulator_unavailable',
    'incomplete_integration',
    'deprecated_authentication',
    'return_to_not_allowed',
    'invalid_query_params',
    'invalid_connection',
  ];
  return setup.includes(code) ? 'setup' : 'unknown';
}

/** The first language of an Accept-Language header that we have; else English. */
export function languageOf(header: string | undefined): Language {
  for (const part of (header ?? '').split(',')) {
    const tag = part.trim().slice(0, 2).toLowerCase();
    const found = LANGUAGES.find((language) => language === tag);
    if (found !== undefined) return found;
  }
  return 'en';
}

export function pageTexts(language: Language): PageTexts {
  return TEXTS[language];
}

const TEXTS: Record<Language, PageTexts> = {
  en: {
    close: 'Close this window',
    details: 'Details for support',
    kinds: {
      success: { title: 'Connected', text: 'You can close this window and go back to the app.' },
      refused: { title: 'Access was not granted', text: 'Nothing was connected. Go back to the app to try again.' },
      over: {
        title: 'This link is no longer valid',
        text: 'It was already used or is too old. Go back to the app and start again.',
      },
      otherBrowser: {
        title: 'Please start again in this browser',
        text: 'The login was started in another browser, or cookies are blocked. Nothing was connected. Allow cookies and start again from the app.',
      },
      provider: {
        title: 'The service did not answer as expected',
        text: 'Nothing was connected. Wait a moment, then start again from the app.',
      },
      setup: {
        title: 'This connection is not set up correctly',
        text: 'Nothing was connected, and it is not your fault. Tell the makers of the app; the details below help them.',
      },
      unknown: { title: 'Something went wrong', text: 'Nothing was connected. Start again from the app.' },
    },
  },
  de: {
    close: 'Fenster schließen',
    details: 'Einzelheiten für den Support',
    kinds: {
      success: { title: 'Verbunden', text: 'Sie können dieses Fenster schließen und zur App zurückkehren.' },
      refused: {
        title: 'Der Zugriff wurde nicht erlaubt',
        text: 'Es wurde nichts verbunden. Gehen Sie zur App zurück, um es erneut zu versuchen.',
      },
      over: {
        title: 'Dieser Link gilt nicht mehr',
        text: 'Er wurde schon benutzt oder ist zu alt. Gehen Sie zur App zurück und beginnen Sie neu.',
      },
      otherBrowser: {
        title: 'Bitte in diesem Browser neu beginnen',
        text: 'Die Anmeldung begann in einem anderen Browser, oder Cookies sind gesperrt. Es wurde nichts verbunden. Erlauben Sie Cookies und beginnen Sie in der App neu.',
      },
      provider: {
        title: 'Der Dienst hat nicht wie erwartet geantwortet',
        text: 'Es wurde nichts verbunden. Warten Sie einen Moment und beginnen Sie dann in der App neu.',
      },
      setup: {
        title: 'Diese Verbindung ist nicht richtig eingerichtet',
        text: 'Es wurde nichts verbunden, und es liegt nicht an Ihnen. Wenden Sie sich an die Betreiber der App; die Einzelheiten unten helfen ihnen.',
      },
      unknown: { title: 'Etwas ist schiefgegangen', text: 'Es wurde nichts verbunden. Beginnen Sie in der App neu.' },
    },
  },
  fr: {
    close: 'Fermer cette fenêtre',
    details: 'Détails pour l’assistance',
    kinds: {
      success: { title: 'Connecté', text: 'Vous pouvez fermer cette fenêtre et revenir à l’application.' },
      refused: {
        title: 'L’accès n’a pas été accordé',
        text: 'Rien n’a été connecté. Revenez à l’application pour réessayer.',
      },
      over: {
        title: 'Ce lien n’est plus valable',
        text: 'Il a déjà servi ou est trop ancien. Revenez à l’application et recommencez.',
      },
      otherBrowser: {
        title: 'Veuillez recommencer dans ce navigateur',
        text: 'La connexion a été commencée dans un autre navigateur, ou les cookies sont bloqués. Rien n’a été connecté. Autorisez les cookies et recommencez depuis l’application.',
      },
      provider: {
        title: 'Le service n’a pas répondu comme prévu',
        text: 'Rien n’a été connecté. Attendez un instant, puis recommencez depuis l’application.',
      },
      setup: {
        title: 'Cette connexion est mal configurée',
        text: 'Rien n’a été connecté, et ce n’est pas votre faute. Prévenez l’éditeur de l’application ; les détails ci-dessous l’aideront.',
      },
      unknown: { title: 'Un problème est survenu', text: 'Rien n’a été connecté. Recommencez depuis l’application.' },
    },
  },
  es: {
    close: 'Cerrar esta ventana',
    details: 'Detalles para soporte',
    kinds: {
      success: { title: 'Conectado', text: 'Puede cerrar esta ventana y volver a la aplicación.' },
      refused: {
        title: 'No se concedió el acceso',
        text: 'No se ha conectado nada. Vuelva a la aplicación para intentarlo de nuevo.',
      },
      over: {
        title: 'Este enlace ya no es válido',
        text: 'Ya se usó o es demasiado antiguo. Vuelva a la aplicación y empiece de nuevo.',
      },
      otherBrowser: {
        title: 'Empiece de nuevo en este navegador',
        text: 'El inicio de sesión comenzó en otro navegador, o las cookies están bloqueadas. No se ha conectado nada. Permita las cookies y empiece de nuevo desde la aplicación.',
      },
      provider: {
        title: 'El servicio no respondió como se esperaba',
        text: 'No se ha conectado nada. Espere un momento y empiece de nuevo desde la aplicación.',
      },
      setup: {
        title: 'Esta conexión no está bien configurada',
        text: 'No se ha conectado nada y no es culpa suya. Avise a los responsables de la aplicación; los detalles de abajo les ayudarán.',
      },
      unknown: { title: 'Algo salió mal', text: 'No se ha conectado nada. Empiece de nuevo desde la aplicación.' },
    },
  },
  ja: {
    close: 'このウィンドウを閉じる',
    details: 'サポート用の詳細',
    kinds: {
      success: { title: '接続しました', text: 'このウィンドウを閉じて、アプリに戻ってください。' },
      refused: {
        title: 'アクセスは許可されませんでした',
        text: '何も接続されていません。アプリに戻ってもう一度お試しください。',
      },
      over: {
        title: 'このリンクは無効です',
        text: 'すでに使用されたか、有効期限が切れています。アプリに戻ってやり直してください。',
      },
      otherBrowser: {
        title: 'このブラウザーでやり直してください',
        text: '別のブラウザーで開始されたか、Cookie がブロックされています。何も接続されていません。Cookie を許可し、アプリからやり直してください。',
      },
      provider: {
        title: 'サービスから予期しない応答がありました',
        text: '何も接続されていません。しばらく待ってから、アプリからやり直してください。',
      },
      setup: {
        title: 'この接続は正しく設定されていません',
        text: '何も接続されていません。お客様の操作の問題ではありません。下の詳細をアプリの提供元にお知らせください。',
      },
      unknown: { title: '問題が発生しました', text: '何も接続されていません。アプリからやり直してください。' },
    },
  },
};
