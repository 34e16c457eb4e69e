package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// grantFlags say how the provider is asked: by a link for a browser, if not
// otherwise.
type grantFlags struct {
	device, clientCredentials bool
	params                    []string
}

func (g *grantFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&g.device, "device", false, "show a code for another device, and wait until it is used")
	cmd.Flags().BoolVar(&g.clientCredentials, "client-credentials", false, "connect the vault's client itself: there is no person")
	cmd.Flags().StringArrayVar(&g.params, "param", nil, "a value for a variable of the provider, `NAME=VALUE`; may be given several times")
}

func (g *grantFlags) set(req *tokenvaultv1.ConnectRequest) (err error) {
	switch {
	case g.device && g.clientCredentials:
		return errors.New("--device and --client-credentials are two ways to connect: choose one")
	case g.device:
		req.Grant = tokenvaultv1.ConnectGrant_CONNECT_GRANT_DEVICE_CODE
	case g.clientCredentials:
		req.Grant = tokenvaultv1.ConnectGrant_CONNECT_GRANT_CLIENT_CREDENTIALS
	}
	req.Params, err = parseParams(g.params)
	return err
}

// handedOver is what the person is given.
func (g *grantFlags) handedOver() string {
	if g.device {
		return "code"
	}
	return "link"
}

// describe says what there is to do.
func (c *connectCommand) describe(resp *tokenvaultv1.ConnectResponse) string {
	if conn := resp.GetConnection(); conn != nil {
		return fmt.Sprintf("%v is connected, as the vault's own client. Then see the connection with: %s\n", c.name, c.client.hint("status", c.name))
	}
	before := showTime(resp.GetExpireTime().AsTime())
	if code := resp.GetUserCode(); code != "" {
		return fmt.Sprintf("Open this page in a browser, on any device, before %s:\n\n  %s\n\nEnter this code there, or see that it is the one that is shown:\n\n  %s\n\n", before, resp.GetConnectUrl(), code)
	}
	text := fmt.Sprintf("Open this link in a browser before %s:\n\n  %s\n\n", before, resp.GetConnectUrl())
	if !c.wait {
		text += fmt.Sprintf("Then see the connection with: %s\n", c.client.hint("status", c.name))
	}
	return text
}
